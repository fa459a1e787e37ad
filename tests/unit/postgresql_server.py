"""A PostgreSQL server of this machine's own, in a folder that is removed again; reached by a socket only."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

_SECONDS = 60


def binaries() -> Path | None:
    """The folder of ``initdb`` and ``postgres``: Debian keeps a folder per version off the path."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    return versions[-1].parent if versions else None


@dataclass(frozen=True)
class Server:
    """``folder`` has the socket; the role ``postgres`` logs in with ``password``."""

    folder: Path
    password: str

    def url(self, database: str = "postgres", password: str | None = None) -> str:
        secret = quote(self.password if password is None else password, safe="")
        return f"postgresql+psycopg://postgres:{secret}@/{database}?host={self.folder}"

    def execute(self, *statements: str, database: str = "postgres") -> None:
        import psycopg

        with psycopg.connect(
            host=str(self.folder), user="postgres", password=self.password, dbname=database, autocommit=True
        ) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def new_database(self) -> str:
        name = f"history_{secrets.token_hex(4)}"
        self.execute(f"CREATE DATABASE {name}")
        return name


@contextmanager
def running(binaries: Path) -> Iterator[Server]:
    """Make a cluster and run its server."""
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))  # a socket's path may have 107 bytes
    server = Server(folder=folder, password=f"s3/cret:{secrets.token_hex(4)}")
    account = _account()
    try:
        (folder / "password").write_text(server.password)
        for path in (folder, folder / "password"):
            os.chown(path, account.get("user", -1), account.get("group", -1))
        _make_cluster(binaries, folder, account)
        with _process(binaries, folder, account) as process:
            _wait_for(server, process)
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _account() -> dict[str, Any]:
    """Whom to run the server as: it refuses to be root."""
    if os.geteuid() != 0:
        return {}
    names = {entry.pw_name for entry in pwd.getpwall()}
    entry = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _make_cluster(binaries: Path, folder: Path, account: dict[str, Any]) -> None:
    options = ["--auth=scram-sha-256", "--username=postgres", "--encoding=UTF8", "--no-locale", "--no-sync"]
    command = [str(binaries / "initdb"), *options, f"--pwfile={folder / 'password'}", f"--pgdata={folder / 'data'}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, cwd=folder, **account)
    assert done.returncode == 0, done.stderr


@contextmanager
def _process(binaries: Path, folder: Path, account: dict[str, Any]) -> Iterator[subprocess.Popen[bytes]]:
    settings = ["listen_addresses=", f"unix_socket_directories={folder}", "fsync=off", "max_connections=30"]
    options = [part for setting in settings for part in ("-c", setting)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [binaries / "postgres", "-D", folder / "data", *options], stdout=log, stderr=log, cwd=folder, **account
        )
    try:
        yield process
    finally:
        # Fast shutdown: sessions are ended, not waited for.
        process.send_signal(signal.SIGINT)
        try:
            process.wait(_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(server: Server, process: subprocess.Popen[bytes]) -> None:
    import psycopg

    deadline = time.monotonic() + _SECONDS
    while True:
        try:
            server.execute("SELECT 1")
        except psycopg.OperationalError:
            assert process.poll() is None, (server.folder / "log").read_text()
            assert time.monotonic() < deadline, (server.folder / "log").read_text()
            time.sleep(0.05)
        else:
            return
