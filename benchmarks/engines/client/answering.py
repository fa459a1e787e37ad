"""A server that answers at once: ``python -m benchmarks.engines.client.answering TOKENIZER [CORE]``.

It prints its port and serves until its input ends. No framework: what it costs would be measured with the client.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from benchmarks.engines.client.replies import Encode, RefusedError, Replies

COUNTS = "/counts"


class Answering(asyncio.Protocol):
    """One connection, kept as long as the client keeps it."""

    calls = 0

    def __init__(self, replies: Replies) -> None:
        self._replies = replies
        self._received = bytearray()
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where answers go."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request that has come whole."""
        self._received += data
        while (request := _taken(self._received)) is not None:
            self._transport.write(self._answer(*request))

    def _answer(self, method: str, path: str, body: bytes) -> bytes:
        if path == COUNTS:
            return _response(200, {"calls": Answering.calls, "cpu": time.process_time()})
        Answering.calls += 1
        try:
            return _response(200, self._replies.reply(method, path, body))
        except RefusedError as refused:
            error = {"message": str(refused), "type": "invalid_request_error", "code": refused.status}
            return _response(refused.status, {"error": error})


def _taken(received: bytearray) -> tuple[str, str, bytes] | None:
    """Take a whole request (method, path, body) from what was received; None where there is none yet."""
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return None
    first, *lines = received[:end].decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    stop = end + 4 + int(headers.get("content-length", 0))
    if len(received) < stop:
        return None
    method, path = first.split(" ")[:2]
    body = bytes(received[end + 4 : stop])
    del received[:stop]
    return method, path, body


def _response(status: int, reply: Any) -> bytes:
    body = json.dumps(reply).encode()
    head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


async def serve(encode: Encode) -> asyncio.Server:
    """Listen on a free port of this machine."""
    replies = Replies(encode)
    return await asyncio.get_running_loop().create_server(lambda: Answering(replies), "127.0.0.1", 0)


def port_of(server: asyncio.Server) -> int:
    """Where it listens."""
    port: int = server.sockets[0].getsockname()[1]
    return port


async def _main(tokenizer: str, core: int | None) -> None:
    from tokenizers import Tokenizer

    if core is not None:
        os.sched_setaffinity(0, {core})
    known = Tokenizer.from_file(f"{tokenizer}/tokenizer.json")
    server = await serve(lru_cache(maxsize=1024)(lambda text: known.encode(text, add_special_tokens=False).ids))
    print(port_of(server), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else None))
