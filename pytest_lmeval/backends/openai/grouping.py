"""Spans to score, each once, put together by what they have in common."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import groupby
from typing import Generic, TypeVar

from pytest_lmeval.backends.text.encoding import Span, Tokens

OwnerT = TypeVar("OwnerT")


@dataclass(frozen=True, slots=True)
class Group:
    """Continuations of one context."""

    context: Tokens
    spans: tuple[Span, ...]


@dataclass(slots=True)
class Window(Generic[OwnerT]):
    """Spans that are put in order together, with those who want them; forgotten one by one as they are answered."""

    owners: dict[Span, list[OwnerT]] = field(default_factory=dict)

    @classmethod
    def of(cls, spans: Iterable[tuple[OwnerT, Span]]) -> Window[OwnerT]:
        """Take what was pulled; equal spans are one."""
        window = cls()
        for owner, span in spans:
            window.owners.setdefault(span, []).append(owner)
        return window

    def groups(self) -> list[Group]:
        """Return the spans by their contexts, in an order that keeps common prefixes together."""
        ordered = sorted(self.owners, key=lambda span: (span.before(0), span.inputs))
        return [Group(context, tuple(spans)) for context, spans in groupby(ordered, key=lambda span: span.before(0))]


def whole(span: Span) -> Tokens:
    """What is read and the last target, which is only predicted."""
    return (*span.inputs, span.targets[-1])
