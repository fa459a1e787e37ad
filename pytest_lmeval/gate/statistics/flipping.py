"""Randomization: what would have been seen if the two runs had been exchanged at random, unit by unit.

Two runs of equal models are exchangeable, so these tests need no distribution. Up to 16 units every exchange is tried
and p-values are exact; beyond, exchanges are drawn, and the observed one counts as one more, so that p is never 0
(Phipson and Smyth, Stat Appl Genet Mol Biol 9:39, 2010).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from pytest_lmeval.gate.statistics.arrays import Floats

#: Units of which every exchange is tried.
EXACT_UNITS = 16
DRAWS = 10_000
# Numbers of one block of exchanges: 16 MiB.
_BLOCK = 2**21
# Sums over the same numbers in another order differ in their last digits; such a difference is none.
SLACK = 1e-9


@dataclass(slots=True)
class Tally:
    """Counts how many exchanges are as bad, and as good, as what was observed."""

    exact: bool
    draws: int = field(default=0, init=False)
    as_bad: int = field(default=0, init=False)
    as_good: int = field(default=0, init=False)

    def add(self, exchanged: Floats, observed: float, slack: float) -> None:
        """Count a block of statistics. One that is not a number counts as both."""
        self.draws += exchanged.size
        self.as_bad += int(np.count_nonzero(~(exchanged > observed + slack)))
        self.as_good += int(np.count_nonzero(~(exchanged < observed - slack)))

    @property
    def p_worse(self) -> float:
        """How often chance alone does as badly."""
        return self._p(self.as_bad)

    @property
    def p_better(self) -> float:
        """How often chance alone does as well."""
        return self._p(self.as_good)

    def _p(self, count: int) -> float:
        return count / self.draws if self.exact else (1 + count) / (1 + self.draws)


def exchanges(units: int, draws: int, random: np.random.Generator) -> Iterator[Floats]:
    """Yield blocks [m, units] of exchanges: 1 where a unit's runs are exchanged, else 0."""
    rows = max(1, _BLOCK // max(1, units))
    total = 2**units if units <= EXACT_UNITS else draws
    for start in range(0, total, rows):
        count = min(rows, total - start)
        yield _all(start, count, units) if units <= EXACT_UNITS else _drawn(count, units, random)


def _all(start: int, count: int, units: int) -> Floats:
    numbers = np.arange(start, start + count)[:, None]
    return np.asarray((numbers >> np.arange(units)) & 1, dtype=np.float64)


def _drawn(count: int, units: int, random: np.random.Generator) -> Floats:
    packed = random.integers(0, 256, size=(count, -(-units // 8)), dtype=np.uint8)
    return np.unpackbits(packed, axis=1, count=units).astype(np.float64)


def sign_flip(totals: Floats, *, seed: int, draws: int = DRAWS) -> Tally:
    """Test the sum of ``totals``, one per unit, by turning their signs at random; a negative sum is worse."""
    moved = totals[totals != 0]
    tally = Tally(exact=moved.size <= EXACT_UNITS)
    slack = SLACK * float(np.abs(moved).sum())
    for block in exchanges(moved.size, draws, np.random.default_rng(seed)):
        # An exchanged unit counts with the other sign: the sum falls by twice its value.
        tally.add(moved.sum() - 2 * (block @ moved), float(moved.sum()), slack)
    return tally
