"""What the simulations measure: a rate, how exact it is, and what it has to be."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: How many standard errors of the simulation a rate may be on the wrong side of its limit.
TOLERATED_ERRORS = 4.0
FALSE_ALARM = "false alarm"
POWER = "power"

_QUICK_SHARE = 40
_FEWEST = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A share of ``trials``, None for one that was computed and not simulated; or the mean of shares.

    ``deviation`` is the standard deviation of these shares, None where each trial is a hit or none.
    """

    value: float
    trials: int | None = None
    deviation: float | None = None

    @classmethod
    def of(cls, hits: Iterable[object] | NDArray[np.bool_]) -> Rate:
        """The share that is true."""
        found = [bool(hit) for hit in hits]
        return cls(value=sum(found) / len(found), trials=len(found))

    @classmethod
    def mean(cls, values: NDArray[np.float64]) -> Rate:
        """The mean of shares."""
        return cls(value=float(values.mean()), trials=values.size, deviation=float(values.std()))

    @property
    def error(self) -> float:
        """Standard error of the simulation."""
        if self.trials is not None and self.deviation is not None:
            return self.deviation / math.sqrt(self.trials)
        return 0.0 if self.trials is None else math.sqrt(self.value * (1 - self.value) / self.trials)

    def error_at(self, limit: float) -> float:
        """The standard error that the simulation of a rate of ``limit`` has."""
        return 0.0 if self.trials is None else math.sqrt(limit * (1 - limit) / self.trials)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table.

    ``what`` is what the rate counts, with ``alpha`` as the level of the test. ``at_most`` and ``at_least`` are what
    it has to be; both None where it is only reported.
    """

    test: str
    setting: str
    what: str
    alpha: float
    rate: Rate
    at_most: float | None = None
    at_least: float | None = None

    @property
    def holds(self) -> bool:
        """Whether the rate is what it has to be, but for the error of the simulation."""
        value, rate = self.rate.value, self.rate
        under = self.at_most is None or value <= self.at_most + TOLERATED_ERRORS * rate.error_at(self.at_most)
        over = self.at_least is None or value >= self.at_least - TOLERATED_ERRORS * rate.error_at(self.at_least)
        return under and over


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much is simulated. The short version does a fortieth."""

    quick: bool = False

    def times(self, trials: int) -> int:
        """How often something is simulated that the full version does ``trials`` times."""
        return max(min(trials, _FEWEST), trials // _QUICK_SHARE) if self.quick else trials

    def random(self, name: str) -> np.random.Generator:
        """Random numbers that depend on ``name`` alone, so that a row does not change with those before it."""
        return np.random.default_rng(zlib.crc32(name.encode()))
