"""A server on loopback that takes webhooks, and answers as it was told to."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

#: In place of a status: take the request and say nothing.
SILENT = 0


class AlertServer:
    """``answers`` are the statuses of the next requests, the last one for all after it; ``got`` what was sent."""

    def __init__(self, http: ThreadingHTTPServer) -> None:
        self._http = http
        self.answers: list[int] = [200]
        self.got: list[dict[str, Any]] = []
        self.over = threading.Event()

    def url(self, path: str = "hooks/token-s3cret") -> str:
        return f"json://someone:pa55word@127.0.0.1:{self._http.server_address[1]}/{path}"

    def answer(self, body: bytes) -> int:
        self.got.append(json.loads(body))
        status = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if status == SILENT:
            self.over.wait(30)
        return status


@contextmanager
def listening() -> Iterator[AlertServer]:
    """Run the server."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            status = server.answer(self.rfile.read(int(self.headers["Content-Length"])))
            if status != SILENT:
                self.send_response(status)
                self.end_headers()

        def log_request(self, *_: object) -> None:
            """Say nothing of it in the tests' output."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    server = AlertServer(http)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        http.shutdown()
        thread.join()
        http.server_close()
