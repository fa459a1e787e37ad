"""The database of past runs: opened with its tables up to date, one transaction per piece of work.

SQLite keeps its default journal: the history is then one file, which CI can cache and upload, and turning on another
journal is the one thing that SQLite does not wait for. A writer takes the lock before it reads, so that two writers
wait for each other and never fail by having read before.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, select, text
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from pytest_lmeval.errors import HistoryError
from pytest_lmeval.history.schema import REVISIONS, VERSION_TABLE

#: Seconds to wait for a connection, and for others' locks and a single statement.
CONNECTING, WAITING = 10, 30
# Any number that other applications are unlikely to lock: "lmeval" in ASCII.
_LOCK = 0x6C6D6576616C
#: The folder in a project of what belongs to a machine.
OURS = ".lmeval"
_MIGRATIONS = Path(__file__).parent / "migrations"


class Database:
    """An open database. Its errors are HistoryErrors, which name it and hold no password."""

    def __init__(self, where: Path | str) -> None:
        self._url = _url(where)
        self._file = where if isinstance(where, Path) else None
        #: Its name for people: without password, and without the URL's options, which may hold one too.
        self.name = str(where) if isinstance(where, Path) else self._url.set(query={}).render_as_string()
        with self._explained():
            self._engine = _engine(self._url)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction on tables that are up to date; what it raises undoes all of it. Raises HistoryError."""
        with self._explained():
            if self._file is not None:
                _make_room(self._file)
            with self._engine.connect().execution_options(lmeval_writes=True) as connection, connection.begin():
                self._bring_up_to_date(connection)
                yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One transaction that only reads, after tables of an older version were brought up to date."""
        if self._file is not None and not self._file.is_file():
            raise HistoryError(f"{self.name}: there is no history")
        with self._explained(), self._engine.connect() as connection, connection.begin():
            current = self._revision(connection)
            if current == REVISIONS[-1]:
                yield connection
                return
        with self.writing() as connection:
            yield connection

    def _bring_up_to_date(self, connection: Connection) -> None:
        if self._revision(connection) == REVISIONS[-1]:
            return
        if connection.dialect.name == "postgresql":
            # Held to the end of the transaction. Another runner may have been first: the tables are looked at again.
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        if self._revision(connection) != REVISIONS[-1]:
            upgrade(connection)

    def _revision(self, connection: Connection) -> str | None:
        """Read which revision the tables are of, None where there are none. Raises HistoryError for a newer one."""
        if not inspect(connection).has_table(VERSION_TABLE):
            return None
        found = connection.execute(select(text("version_num")).select_from(text(VERSION_TABLE))).scalar()
        if found is not None and found not in REVISIONS:
            raise HistoryError(
                f"{self.name}: its tables are of revision {str(found)[:40]!r}, and this pytest-lmeval knows them up to "
                f"{REVISIONS[-1]!r}: a newer one wrote here; upgrade this one, or give another database by --lm-history"
            )
        return None if found is None else str(found)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except ModuleNotFoundError as error:
            raise HistoryError(
                f"{self.name}: {error.name} is not installed: pip install 'pytest-lmeval[postgresql]'"
            ) from None
        except (SQLAlchemyError, OSError) as error:
            raise HistoryError(f"{self.name}: {self._without_password(_told(error))}") from None

    def _without_password(self, message: str) -> str:
        password = str(self._url.password or "")
        return message.replace(password, "***") if password else message


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Take the steps up to ``revision`` in the connection's transaction."""
    # Needed once in a database's life, and slow to import.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def _url(where: Path | str) -> URL:
    if isinstance(where, Path):
        return URL.create("sqlite", database=str(where))
    try:
        return make_url(where)
    except (ArgumentError, ValueError):
        # Their texts may repeat parts of what was given.
        raise HistoryError(
            "--lm-history: not a URL; expected postgresql+psycopg://USER:PASSWORD@HOST:PORT/DATABASE, special "
            "characters of the password as %XX"
        ) from None


def _engine(url: URL) -> Engine:
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url, poolclass=NullPool, connect_args={"timeout": WAITING})
        event.listen(engine, "connect", _leave_transactions_to_us)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    waiting = {} if "connect_timeout" in url.query else {"connect_timeout": CONNECTING}
    engine = create_engine(url, poolclass=NullPool, connect_args=waiting)
    event.listen(engine, "begin", _begin_postgresql)
    return engine


def _leave_transactions_to_us(connection: Any, record: Any) -> None:
    # The driver would begin late, and not at all before a table is made.
    connection.isolation_level = None


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("lmeval_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _begin_postgresql(connection: Connection) -> None:
    connection.exec_driver_sql(f"SET LOCAL statement_timeout = '{WAITING}s'")


def _make_room(file: Path) -> None:
    """Make the folder. In ours the file is hidden from git: it is of this machine, as pytest's own cache is."""
    file.parent.mkdir(parents=True, exist_ok=True)
    ignored = file.parent / ".gitignore"
    if file.parent.name == OURS and not file.exists() and not ignored.exists():
        ignored.write_text(f"/.gitignore\n/{file.name}*\n", encoding="utf-8")


def _told(error: Exception) -> str:
    """The driver's own sentence, on one line: SQLAlchemy adds the statement and its values."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    if isinstance(cause, OSError):
        return cause.strerror or str(cause)
    return " ".join(str(cause).split())[:300] or type(cause).__name__
