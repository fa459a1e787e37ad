"""What a filter is: a function from the responses of all requests, and their documents, to filtered ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

#: One list per request, with one entry per repeat.
Responses = list[list[Any]]
Documents = Sequence[Mapping[str, Any]]
Filter = Callable[[Any, Documents], Any]


def each(function: Callable[[Any], Any]) -> Filter:
    """Make a filter that treats every response on its own."""
    return lambda responses, documents: [[function(r) for r in row] for row in responses]
