"""A server whose replies are given by a function: for shapes of replies that no server at hand produces."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pytest_lmeval.backends.openai.connection import Connection, Link

Body = dict[str, Any]

# A reply's JSON, or with its status.
Script = Callable[[str, Body], "Any | tuple[int, Any]"]


class ScriptedServer(ThreadingHTTPServer):
    """Keeps the bodies it was sent, in the order of their arrival."""

    daemon_threads = True

    def __init__(self, script: Script) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script = script
        self.bodies: list[Body] = []

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that go away."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


@contextmanager
def serving(script: Script) -> Iterator[ScriptedServer]:
    with ScriptedServer(script) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def connected(server: ScriptedServer) -> Iterator[Connection]:
    connection = Connection(Link(base_url=server.base_url, key="none"))
    try:
        yield connection
    finally:
        connection.close()


def chat_reply(message: Body, finish: str | None = "stop", **further: Any) -> Body:
    """Return a chat endpoint's reply; ``further`` are more fields of its choice."""
    usage = {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}
    return {"choices": [{"index": 0, "message": message, "finish_reason": finish, **further}], "usage": usage}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ScriptedServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.bodies.append(body)
        reply = self.server.script(self.path.removeprefix("/v1"), body)
        status, content = reply if isinstance(reply, tuple) else (200, reply)
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is that of the base class
        """Say nothing."""
