"""From a stream of requests to windows of them, pulled no further than needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from pytest_lmeval.backends.protocol import GenerationRequest, LoglikelihoodRequest, RollingRequest

WINDOW_REQUESTS = 2048

CHARACTERS_PER_TOKEN = 4

T = TypeVar("T")


def windows(requests: Iterator[T], characters: Callable[[T], int], tokens: Callable[[], int]) -> Iterator[list[T]]:
    """Pull requests by windows of about ``tokens()``, at most ``WINDOW_REQUESTS``.

    ``characters`` estimates a request's size before it is tokenized, and is called once for each in order. Nothing is
    pulled ahead of need.
    """
    window: list[T] = []
    size = 0
    for request in requests:
        window.append(request)
        size += characters(request) // CHARACTERS_PER_TOKEN + 1
        if size >= tokens() or len(window) >= WINDOW_REQUESTS:
            yield window
            window, size = [], 0
    if window:
        yield window


class NewCharacters:
    """Size of a request: the characters by which its context differs from the one before, and what it has ``besides``.

    The rest will have been read.
    """

    def __init__(self, besides: Callable[[Any], int]) -> None:
        self._besides = besides
        self._context = ""

    def __call__(self, request: LoglikelihoodRequest | GenerationRequest) -> int:
        """Measure the next request."""
        context = str(request.context)
        known = common_length(self._context, context)
        self._context = context
        return len(context) - known + self._besides(request)


def continuation_length(request: LoglikelihoodRequest) -> int:
    """Characters of what is scored."""
    return len(request.continuation)


def text_length(request: RollingRequest) -> int:
    """Characters of a whole text."""
    return len(request.text)


def answer_length(request: GenerationRequest) -> int:
    """Room for the answer, in characters."""
    return CHARACTERS_PER_TOKEN * request.settings.max_tokens


def common_length(one: Sequence[Any], other: Sequence[Any]) -> int:
    """How many items ``one`` and ``other`` have in common at their beginning, found by halving."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
