"""Differences that add up within units which are independent of each other: documents, or clusters of documents."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from pytest_lmeval.gate.statistics.arrays import Floats
from pytest_lmeval.gate.statistics.estimate import SHOWN_LEVEL, Estimate
from pytest_lmeval.gate.statistics.flipping import DRAWS, sign_flip

#: With fewer units than this nothing can be concluded.
FEWEST_UNITS = 5
#: Fewer than this are called few.
FEW_UNITS = 10
#: From this many documents on the t distribution gives the p-values, unless the skew is heavy.
MANY = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """Totals [u] of oriented differences and weights [u] of the units, over ``n`` documents.

    ``unit`` is what one is called, ``method`` and ``flipped`` what the estimate is called by t and by sign flips, which
    give the p-values where there are fewer units than ``trusted``.
    ``least_stderr`` stands in where the totals leave no spread although the documents do.
    """

    totals: Floats
    weights: Floats
    n: int
    unit: str
    method: str
    flipped: str
    trusted: int
    least_stderr: float = 0.0

    @property
    def difference(self) -> float:
        """Σ totals / Σ weights; 0 without units."""
        return float(self.totals.sum() / self.weights.sum()) if self.totals.size else 0.0

    @property
    def stderr(self) -> float | None:
        """Ratio estimator's standard error (Cochran, Sampling Techniques, 1977, ch. 6); None below two units."""
        u = self.totals.size
        if u < 2:
            return None
        spread = float(np.square(self.totals - self.difference * self.weights).sum())
        return math.sqrt(u / (u - 1) * spread) / float(self.weights.sum()) or self.least_stderr

    @property
    def clusters(self) -> int | None:
        """How many units there are, None where these are the documents."""
        return None if self.unit == "document" else self.totals.size


def estimate_units(units: Units, *, alpha: float, seed: int, draws: int = DRAWS) -> Estimate:
    """Estimate by a t distribution with one degree of freedom less than units.

    With fewer units than ``units.trusted`` the p-values are from turning the signs of their totals. With fewer than
    five both are 1 and ``lower`` is minus infinity, so that nothing can be gated by it.
    """
    count = units.totals.size
    made = by_t(
        units.difference, units.stderr, count - 1, alpha=alpha, method=units.method, n=units.n, clusters=units.clusters
    )
    if not count:
        return replace(made, note="no documents")
    if count < FEWEST_UNITS:
        note = f"{count} {units.unit}{'s' * (count > 1)}: too few to conclude anything"
        return replace(made, p_worse=1.0, p_better=1.0, lower=-math.inf, note=note)
    if count >= units.trusted and units.stderr:
        return made
    tally = sign_flip(units.totals, seed=seed, draws=draws)
    note = f"few {units.unit}s ({count}): p cannot be below {2.0**-count:.2g}" if count < FEW_UNITS else ""
    return replace(made, method=units.flipped, p_worse=tally.p_worse, p_better=tally.p_better, note=note)


def by_t(
    difference: float,
    stderr: float | None,
    df: float,
    *,
    alpha: float,
    method: str,
    n: int,
    clusters: int | None = None,
    note: str = "",
) -> Estimate:
    """Estimate by a t distribution with ``df`` degrees of freedom; without a standard error nothing is concluded."""
    made = Estimate(
        method=method,
        n=n,
        difference=difference,
        stderr=stderr,
        p_worse=1.0,
        p_better=1.0,
        lower=-math.inf,
        low=-math.inf,
        high=math.inf,
        clusters=clusters,
        note=note,
    )
    if stderr is None:
        return made
    from scipy.special import stdtr, stdtrit

    half = -float(stdtrit(df, (1 - SHOWN_LEVEL) / 2)) * stderr
    score = difference / stderr if stderr else math.copysign(math.inf, difference) if difference else 0.0
    return replace(
        made,
        p_worse=float(stdtr(df, score)),
        p_better=float(stdtr(df, -score)),
        lower=difference + float(stdtrit(df, alpha)) * stderr,
        low=difference - half,
        high=difference + half,
    )


def unchanged(method: str, *, n: int, clusters: int | None = None) -> Estimate:
    """The estimate where every document has the same value in both runs."""
    return Estimate(
        method=method,
        n=n,
        difference=0.0,
        stderr=0.0,
        p_worse=1.0,
        p_better=1.0,
        lower=0.0,
        low=0.0,
        high=0.0,
        clusters=clusters,
        note="identical",
    )
