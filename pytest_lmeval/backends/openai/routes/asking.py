"""What the routes have in common: scores or reasons for spans, and calls that are filled."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Protocol, TypeVar

from pytest_lmeval.backends.openai.connection import CallFailed
from pytest_lmeval.backends.openai.grouping import Group
from pytest_lmeval.backends.openai.rows import Malformed
from pytest_lmeval.backends.text.encoding import Span
from pytest_lmeval.backends.text.scores import Score

T = TypeVar("T")
R = TypeVar("R")

Scores = dict[Span, Score | CallFailed]

# vLLM takes that many ids to a prompt (vllm/sampling_params.py).
MOST_IDS = 128

# Tokens in the prompts of one call; a longer prompt has a call of its own.
CALL_TOKENS = 32768


class Route(Protocol):
    """A way to score."""

    @property
    def prompts(self) -> int:
        """Spans that are scored together."""

    @property
    def beyond(self) -> int:
        """Tokens besides what is read that must fit into the model: the last target where it is sent, and an answer."""

    async def score(self, groups: Sequence[Group]) -> Scores:
        """Return the scores of all spans, or why one has none. Raises CallFailed where that holds for all."""


def filled(
    items: Iterable[T], prompts: int, size: Callable[[T], int], fits: Callable[[list[T]], bool]
) -> Iterator[list[T]]:
    """Put items into calls of so many prompts and ``CALL_TOKENS`` at most, as long as a call ``fits``."""
    call: list[T] = []
    tokens = 0
    for item in items:
        if call and (len(call) == prompts or tokens + size(item) > CALL_TOKENS or not fits([*call, item])):
            yield call
            call, tokens = [], 0
        call.append(item)
        tokens += size(item)
    if call:
        yield call


async def waited(result: Awaitable[R]) -> R | CallFailed:
    """Wait for something, and return why there is none: it is no other's failure."""
    try:
        return await result
    except CallFailed as failed:
        return failed
    except Malformed as malformed:
        return unusable(malformed)


def read(found: Callable[[], R]) -> R | CallFailed:
    """Return a part of a reply, or why it cannot be used."""
    try:
        return found()
    except Malformed as malformed:
        return unusable(malformed)


def unusable(malformed: Malformed) -> CallFailed:
    """Put into words that a reply cannot be used."""
    return CallFailed(f"The server's reply cannot be used: {malformed}.")
