"""What a gate will be able to see: how small a drop, with how many documents, and whether its own margin is that.

All drops and margins are on the scale from 0 to 1, as accuracies are; a point is 0.01.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from pytest_lmeval.gate.statistics.power import documents_needed

POWER = 0.8
_STEPS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What ``documents`` documents show.

    ``mde`` is the smallest drop that is detected with a probability of 80 %, infinite where none is. ``needed`` is how
    many documents it takes to detect a drop of ``margin``; None for a margin of 0, which no number of them shows.
    """

    documents: int
    mde: float
    margin: float
    needed: int | None

    @property
    def sees_margin(self) -> bool:
        """Whether a drop of the size of the margin is detected; a margin of 0 has no size to be seen."""
        return self.needed is None or self.documents >= self.needed

    @property
    def sentence(self) -> str:
        """Say that the margin cannot be seen; empty where it can."""
        if self.sees_margin:
            return ""
        return (
            f"cannot see its margin of {in_points(self.margin)}: needs {self.needed:,} documents, "
            f"has {self.documents:,}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """How many documents detect a drop of ``drop``, and what follows where there are fewer."""

    drop: float
    flip_rate: float
    alpha: float

    @property
    def documents(self) -> int:
        """The number of documents."""
        return documents_for(self.drop, self.flip_rate, alpha=self.alpha)

    def shortfall(self, documents: int) -> str:
        """Say which drop ``documents`` documents detect in its place; empty where they are enough."""
        if documents >= self.documents:
            return ""
        seen = smallest_drop(documents, self.flip_rate, alpha=self.alpha)
        what = f"drops from {in_points(seen)} on can be seen" if math.isfinite(seen) else "no drop can be seen"
        return f"a drop of {in_points(self.drop)} takes {self.documents:,} documents, there are {documents:,}: {what}"


def sight(documents: int, flip_rate: float, *, alpha: float, margin: float) -> Sight:
    """Tell what a one-sided test at ``alpha`` sees in ``documents`` documents of which ``flip_rate`` flip."""
    return Sight(
        documents=documents,
        mde=smallest_drop(documents, flip_rate, alpha=alpha),
        margin=margin,
        needed=documents_for(min(margin, 1.0), flip_rate, alpha=alpha) if margin > 0 else None,
    )


def documents_for(drop: float, flip_rate: float, *, alpha: float) -> int:
    """Return how many documents detect a drop of ``drop`` (Connor 1987, Miettinen 1968).

    A drop is made of flips: where it is larger than ``flip_rate``, it is the flip rate itself.
    """
    return documents_needed(drop, max(flip_rate, drop), alpha=alpha, power=POWER)


def smallest_drop(documents: int, flip_rate: float, *, alpha: float) -> float:
    """Return the smallest drop for which ``documents`` suffice, infinite where not even the loss of all would do.

    Unlike Connor's formula it does not end at the flip rate: a larger drop brings flips of its own.
    """
    if documents < documents_for(1.0, 1.0, alpha=alpha):
        return math.inf
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if middle > 0 and documents_for(middle, flip_rate, alpha=alpha) <= documents:
            high = middle
        else:
            low = middle
    return high


def in_points(value: float) -> str:
    """Spell a share of documents in points: ``1.0 points``, with more digits where it takes them."""
    points = 100 * value
    return f"{points:.2g} points" if points < 0.95 else f"{points:.1f} points"
