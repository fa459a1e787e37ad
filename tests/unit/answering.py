"""A real HTTP server in this process that answers as a test says; for faults that real servers seldom have."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pytest_lmeval.backends.openai.connection import Connection, Link

JSON = "application/json"


@dataclass(frozen=True)
class Reply:
    body: object = field(default_factory=dict)
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = JSON

    def written(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


# From a path and a body to a reply.
Answer = Callable[[str, Any], Reply]


@dataclass
class Server:
    base_url: str
    asked: list[tuple[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)


@contextmanager
def answering(answer: Answer) -> Iterator[Server]:
    """Serve on a free port until the block ends."""
    server = Server("")
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._reply(None)

        def do_POST(self) -> None:
            self._reply(json.loads(self.rfile.read(int(self.headers["content-length"]))))

        def _reply(self, body: Any) -> None:
            with lock:
                server.asked.append((self.path, body))
                server.keys.append(self.headers["authorization"])
            reply = answer(self.path, body)
            written = reply.written()
            self.send_response(reply.status)
            for name, value in {"content-type": reply.content_type, **reply.headers}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(written)))
            self.end_headers()
            self.wfile.write(written)

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    http = _Quiet(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    server.base_url = f"http://127.0.0.1:{http.server_port}/v1"
    thread = threading.Thread(target=http.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        thread.join()
        http.server_close()


class _Quiet(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that went away."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def connected(answer: Answer, **settings: Any) -> Iterator[tuple[Connection, Server]]:
    """Serve, with a connection to it."""
    with answering(answer) as server:
        connection = Connection(Link(**{"base_url": server.base_url, "key": "sk-secret", **settings}))
        try:
            yield connection, server
        finally:
            connection.close()


def in_turn(*replies: Reply) -> Answer:
    """Answer with one after the other, the last one ever after."""
    left = list(replies)

    def answer(_path: str, _body: Any) -> Reply:
        return left.pop(0) if len(left) > 1 else left[0]

    return answer
