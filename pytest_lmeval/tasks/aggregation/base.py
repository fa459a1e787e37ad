"""What an aggregation is: from per-document values to one number, its standard error, and what is kept of each."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

Values = Sequence[Any]
#: A value and its standard error.
Estimate = tuple[float, float | None]
#: Additive statistics: a tuple of equal length for every document, from whose sums the metric follows.
Counts = Sequence[tuple[float, ...]]

#: Resamples of a bootstrap: its own error is then two percent of the standard error.
RESAMPLES = 1000
#: Every bootstrap starts from it, so that a result is the same whenever it is computed.
SEED = 1234


class Gaps(Enum):
    """What becomes of a document whose value is None or not-a-number."""

    REPORTED = "left out and reported as not scored"
    SKIPPED = "left out: the aggregation is made for gaps"
    PASSED = "handed to the aggregation, which is the task's own"


def number_of(key: str, value: Any) -> dict[str, float]:
    """The value itself, where the metric is the mean of its documents'."""
    return {key: float(value)} if is_number(value) else {}


def item_of(key: str, value: Any) -> dict[str, float]:
    """The value under ``key/item``, where it is a number."""
    return {f"{key}/item": float(value)} if is_number(value) else {}


def nothing_of(key: str, value: Any) -> dict[str, float]:
    """Nothing: the metric is no mean of its documents'."""
    return {}


@dataclass(frozen=True, slots=True)
class Aggregation:
    """``value`` of all documents' values, and ``stderr`` in the same unit where an estimate exists.

    ``per_document`` reduces one document's value, for a metric key, to the numbers that ItemResult.scores holds.
    ``counts`` gives the documents' additive statistics, where the metric has such; it is told among how many choices
    was chosen, 0 where among none, and returns None where there are too many statistics to keep. ``package`` is what
    must be installed for it beyond the core. ``together`` gives value, standard error and counts where that is cheaper
    than one after the other. ``custom`` tells that it is the task's own.
    """

    name: str
    value: Callable[[Values], float]
    stderr: Callable[[Values], float | None] = lambda values: None
    per_document: Callable[[str, Any], dict[str, float]] = item_of
    gaps: Gaps = Gaps.REPORTED
    package: str | None = None
    counts: Callable[[Values, int], Counts | None] | None = None
    together: Callable[[Values], tuple[Estimate, Counts]] | None = None
    custom: bool = False

    @classmethod
    def own(cls, name: str, function: Callable[[Values], Any]) -> Aggregation:
        """Make an aggregation of a function of the task's own, which sees every document's value."""
        return cls(name, function, gaps=Gaps.PASSED, custom=True)

    def estimate(self, values: Values) -> Estimate:
        """Return the value and its standard error."""
        return self.reduce(values)[0]

    def reduce(self, values: Values, choices: int = 0) -> tuple[Estimate, Counts | None]:
        """Return the value with its standard error, and the documents' additive statistics."""
        if self.together is not None:
            return self.together(values)
        estimate = self.value(values), self.stderr(values)
        return estimate, None if self.counts is None else self.counts(values, choices)


def is_number(value: Any) -> bool:
    """Tell plain numbers, numpy's scalars among them, from pairs, texts and None."""
    return isinstance(value, int | float) or (hasattr(value, "dtype") and getattr(value, "ndim", 1) == 0)


def is_gap(value: Any) -> bool:
    """Tell whether a document has no value: None or not-a-number."""
    return value is None or (is_number(value) and math.isnan(value))
