"""What a server says that calls used."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pytest_lmeval.backends.protocol import Usage

CHARACTERS_PER_TOKEN = 4

# What servers write where no limit was given (completions); chats have none, and are corrected afterwards.
_UNLIMITED = 16


class Accounts:
    """Adds up ``usage`` of replies. Read from other threads than it is written in."""

    def __init__(self) -> None:
        self._usage = Usage()
        self._lock = threading.Lock()

    @property
    def usage(self) -> Usage:
        """What was used so far."""
        return self._usage

    def add(self, reply: Mapping[str, Any]) -> int:
        """Count a reply, and return the tokens that it says were read and written."""
        found = reply.get("usage")
        used = found if isinstance(found, Mapping) else {}
        read, written = count(used, "prompt_tokens"), count(used, "completion_tokens")
        with self._lock:
            so_far = self._usage
            self._usage = replace(
                so_far,
                calls=so_far.calls + 1,
                prompt_tokens=so_far.prompt_tokens + read,
                completion_tokens=so_far.completion_tokens + written,
                cached_tokens=so_far.cached_tokens + count(used, "prompt_tokens_details", "cached_tokens"),
                reasoning_tokens=so_far.reasoning_tokens + count(used, "completion_tokens_details", "reasoning_tokens"),
            )
        return read + written

    def retried(self) -> None:
        """Count a call that is made again."""
        with self._lock:
            self._usage = replace(self._usage, retries=self._usage.retries + 1)


def count(found: object, *keys: str) -> int:
    """Return the number of tokens below ``keys``, 0 where there is none or what is there is no count."""
    for key in keys:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found if isinstance(found, int) and not isinstance(found, bool) and found >= 0 else 0


def estimated_tokens(body: Mapping[str, Any]) -> int:
    """Tokens that a call may use, before the server has counted them."""
    prompt = body.get("prompt", body.get("messages", body.get("token_ids")))
    limit = body.get("max_tokens", body.get("max_completion_tokens", _UNLIMITED))
    return _size(prompt) + (limit if isinstance(limit, int) else _UNLIMITED)


def _size(prompt: object) -> int:
    if isinstance(prompt, str):
        return len(prompt) // CHARACTERS_PER_TOKEN + 1
    if isinstance(prompt, int):
        return 1
    if isinstance(prompt, Mapping):
        return sum(map(_size, prompt.values()))
    return sum(map(_size, prompt)) if isinstance(prompt, list | tuple) else 0
