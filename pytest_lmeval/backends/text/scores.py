"""What scoring a text comes to, however the model was run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

from pytest_lmeval.backends.protocol import Failure
from pytest_lmeval.backends.text.encoding import Span

OwnerT = TypeVar("OwnerT")


NO_NUMBER = "The model gave NaN for this text, so it has no probability. Try dtype=float32."


@dataclass(frozen=True, slots=True)
class Score:
    """``logprob`` in nats, summed over the target tokens; ``is_greedy``: each is the most probable one."""

    logprob: float
    is_greedy: bool


@dataclass(frozen=True, slots=True)
class Row:
    """The log-probability of one token after what is before it, in nats, and whether it is the most probable one."""

    logprob: float
    is_greedy: bool


class Scorer(Protocol):
    """A way to run one model on spans."""

    def score(self, spans: Iterable[tuple[OwnerT, Span]]) -> Iterator[tuple[OwnerT, Score | str]]:
        """Yield each owner with the score of its span, or with why there is none, as they are found."""


def unscored(request_id: int, reason: str) -> Failure:
    """Make the failure of a request whose text has no score."""
    return Failure(id=request_id, error=reason, kind="nan" if reason == NO_NUMBER else "error")


def checked(score: Score) -> Score | str:
    """Return the score, or what is wrong with it."""
    if math.isnan(score.logprob):
        return NO_NUMBER
    return score
