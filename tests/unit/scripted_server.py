"""Servers that write as a function says: for shapes of replies that no server at hand produces."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pytest_lmeval.backends.openai.connection import Connection

from .answering import Reply, connected

Body = dict[str, Any]

# From a path and a call's body to a reply's, or to a status and a reply's.
Script = Callable[[str, Body], "Any | tuple[int, Any]"]


@contextmanager
def scripted(script: Script) -> Iterator[tuple[Connection, list[Body]]]:
    """Serve, with a connection to it and the bodies that it is sent."""
    bodies: list[Body] = []

    def answer(path: str, body: Any) -> Reply:
        bodies.append(body)
        reply = script(path.removeprefix("/v1"), body)
        status, content = reply if isinstance(reply, tuple) else (200, reply)
        return Reply(content, status)

    with connected(answer) as (connection, _):
        yield connection, bodies


def chat_reply(message: Body, finish: str | None = "stop", **further: Any) -> Body:
    """Return a chat endpoint's reply; ``further`` are more fields of its choice."""
    usage = {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}
    return {"choices": [{"index": 0, "message": message, "finish_reason": finish, **further}], "usage": usage}
