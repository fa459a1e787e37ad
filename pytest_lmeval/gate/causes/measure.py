"""One document's value of a metric, then and now."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pytest_lmeval.baselines.codec import round_value
from pytest_lmeval.gate.numbers import is_fraction
from pytest_lmeval.gate.pairing import Pair

# What metrics that are no mean keep of a document: whether it is right, or its log-probability. More is better.
_PARTS = ("item", "numerator")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """Where a document's value stands and how to read it.

    ``key`` is the metric's key, or that of a part of the metric where documents have no value of the whole. ``binary``
    documents are right or wrong; ``fraction`` values lie between -1 and 1, so that differences read as points.
    """

    key: str
    higher_is_better: bool
    binary: bool
    fraction: bool

    @classmethod
    def of(cls, pairs: Sequence[Pair], metric: str, *, higher_is_better: bool) -> Measure:
        """Choose the value by which documents are compared; ``metric`` itself where they have any or no value of it."""
        parts = [f"{metric}/{part}" for part in _PARTS]
        key = next((key for key in (metric, *parts) if any(value is not None for value in _values(pairs, key))), metric)
        values = [value for value in _values(pairs, key) if value is not None]
        return cls(
            key=key,
            higher_is_better=higher_is_better or key != metric,
            binary=all(value in (0.0, 1.0) for value in values),
            fraction=is_fraction(*values),
        )

    def then(self, pair: Pair) -> float | None:
        """The baseline's value, None where it has none that is a number."""
        return _number(pair.then.scores.get(self.key))

    def now(self, pair: Pair) -> float | None:
        """The run's value, as exact as the baseline's, None where it has none that is a number."""
        # One third is 0.333333 in a baseline: compared with itself it must not be a change.
        value = _number(pair.now.scores.get(self.key))
        return None if value is None else round_value(value)

    def gain(self, pair: Pair) -> float | None:
        """By how much the document got better (negative: worse); None where one of the values is missing."""
        then, now = self.then(pair), self.now(pair)
        if then is None or now is None:
            return None
        return now - then if self.higher_is_better else then - now

    def was_right(self, pair: Pair) -> bool:
        """Whether the document was right; where documents are not right or wrong, whether it had a value."""
        then = self.then(pair)
        return then is not None and (not self.binary or then == float(self.higher_is_better))


def in_order(pairs: Iterable[Pair]) -> list[Pair]:
    """Sort pairs by position and content, so that nothing depends on the order in which answers came."""
    return sorted(pairs, key=lambda pair: (pair.now.index, pair.now.document_hash, pair.now.prompt_hash))


def _values(pairs: Iterable[Pair], key: str) -> Iterable[float | None]:
    for pair in pairs:
        yield _number(pair.then.scores.get(key))
        yield _number(pair.now.scores.get(key))


def _number(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
