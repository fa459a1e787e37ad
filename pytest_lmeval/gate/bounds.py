"""Documents without a value in one of two runs: neither right nor wrong, so left out of both and bounded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pytest_lmeval.baselines.record import stored_score
from pytest_lmeval.gate.pairing import Pair


@dataclass(frozen=True, slots=True, eq=False)
class Arms:
    """A metric's values of the paired documents; not-a-number where a document has none. Shapes (n,)."""

    then: Any
    now: Any

    @classmethod
    def of(cls, pairs: Sequence[Pair], key: str) -> Arms:
        """Collect the values of one metric; those of now as a file keeps them, so that what is equal stays equal."""
        return cls(
            np.array([pair.then.scores.get(key, np.nan) for pair in pairs], dtype=float),
            np.array([stored_score(pair.now.scores.get(key, np.nan)) for pair in pairs], dtype=float),
        )

    @property
    def missing(self) -> int:
        """How many documents lack a value in one of the runs."""
        return int((~self._both).sum())

    @property
    def known(self) -> bool:
        """Whether any document can be compared."""
        return bool(self._both.any())

    @property
    def binary(self) -> bool:
        """Whether every value is 0 or 1."""
        values = np.concatenate([self.then[self._both], self.now[self._both]])
        return bool(np.isin(values, (0.0, 1.0)).all())

    @property
    def places(self) -> list[int]:
        """Where the compared documents stand."""
        return [int(at) for at in np.flatnonzero(self._both)]

    @property
    def mean_then(self) -> float:
        """The baseline's mean over the compared documents."""
        return float(self.then[self._both].mean())

    @property
    def mean_now(self) -> float:
        """The run's mean over the compared documents."""
        return float(self.now[self._both].mean())

    def differences(self, sign: float) -> Any:
        """Now minus then of the compared documents, times ``sign``."""
        return sign * (self.now - self.then)[self._both]

    @property
    def _both(self) -> Any:
        return ~(np.isnan(self.then) | np.isnan(self.now))


def filled(arms: Arms, sign: float) -> tuple[Any, Any] | None:
    """Return the differences with every missing value against this run, and with every one for it.

    None where nothing is missing, or where values are not between 0 and 1, so that no value is the worst.
    """
    values = np.concatenate([arms.then, arms.now])
    known = values[~np.isnan(values)]
    if not arms.missing or (len(known) and not (known.min() >= 0 and known.max() <= 1)):
        return None
    good, bad = (1.0, 0.0) if sign > 0 else (0.0, 1.0)
    worst = _with(arms.now, bad) - _with(arms.then, good)
    best = _with(arms.now, good) - _with(arms.then, bad)
    return sign * worst, sign * best


def _with(values: Any, missing: float) -> Any:
    return np.where(np.isnan(values), missing, values)
