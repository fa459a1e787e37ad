"""Which models a server has, and what it says of the one that is wanted."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pytest_lmeval.backends.openai.connection import CallFailed, Connection, patience
from pytest_lmeval.errors import BackendError, ModelSpecError

# Models that are named where the wanted one is not there.
_NAMED = 20

_KEY_REFUSED = frozenset({401, 402, 403})
_NO_ENDPOINT = frozenset({400, 404, 405, 501})


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A model as the server lists it. ``root`` is what it is made of, ``max_length`` tokens it reads and writes."""

    name: str
    root: str | None = None
    owner: str | None = None
    max_length: int | None = None


def find_served(connection: Connection, name: str) -> Served:
    """Return what the server says of the model called ``name``.

    Raises ModelSpecError where there is no such model or no such server, BackendError where it does not answer.
    """
    try:
        reply = connection.ask(lambda: connection.get("/models"))
    except CallFailed as failed:
        if failed.status in _KEY_REFUSED:
            raise ModelSpecError(failed.reason) from None
        if failed.status not in _NO_ENDPOINT:
            raise BackendError(failed.reason) from None
        return _unlisted(connection, name, [])
    entries = _entries(reply)
    for entry in entries:
        if entry["id"] == name:
            return _served(name, entry)
    return _unlisted(connection, name, [entry["id"] for entry in entries])


def _entries(reply: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    data = reply.get("data")
    found = data if isinstance(data, list) else []
    return [entry for entry in found if isinstance(entry, Mapping) and isinstance(entry.get("id"), str)]


def _served(name: str, entry: Mapping[str, Any]) -> Served:
    length = entry.get("max_model_len")
    return Served(
        name=name,
        root=_text(entry.get("root")),
        owner=_text(entry.get("owned_by")),
        max_length=length if isinstance(length, int) and not isinstance(length, bool) and length > 0 else None,
    )


def _unlisted(connection: Connection, name: str, listed: list[str]) -> Served:
    """Servers need not list all that they serve, so the model is tried."""
    tried = [_refusal(connection, path, name) for path in ("/completions", "/chat/completions")]
    if None in tried:
        return Served(name=name)
    if not listed and not connection.base_url.endswith("/v1"):
        _suggest_version(connection)
    reasons = " ".join(failed.reason for failed in tried if failed is not None)
    if not listed:
        raise ModelSpecError(f"{connection.base_url} does not list its models and has none called {name!r}. {reasons}")
    near = difflib.get_close_matches(name, listed, n=_NAMED, cutoff=0.0)
    more = f" and {len(listed) - len(near)} more" if len(listed) > len(near) else ""
    raise ModelSpecError(
        f"The server at {connection.base_url} has no model {name!r}. It has {', '.join(map(repr, near))}{more}."
    )


def _refusal(connection: Connection, path: str, name: str) -> CallFailed | None:
    """Let the model write one token, and return why it does not."""
    prompt = {"prompt": "Hello"} if path == "/completions" else {"messages": [{"role": "user", "content": "Hello"}]}

    async def write() -> None:
        patience.set(1)
        await connection.post(path, {"model": name, "max_tokens": 1, **prompt})

    try:
        connection.ask(write)
    except CallFailed as failed:
        return failed
    return None


def _suggest_version(connection: Connection) -> None:
    async def below() -> bool:
        patience.set(0)
        try:
            return bool(_entries(await connection.get(connection.base_url + "/v1/models")))
        except CallFailed:
            return False

    if connection.ask(below):
        raise ModelSpecError(
            f"base_url={connection.base_url} has no models, but {connection.base_url}/v1 has. Give that."
        )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
