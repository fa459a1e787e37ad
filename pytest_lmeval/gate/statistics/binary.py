"""Right-or-wrong metrics: the mid-p McNemar test and Tango's score interval.

``b`` documents were right and are wrong now, ``c`` the other way round, of ``n`` that are paired.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pytest_lmeval.gate.statistics.estimate import SHOWN_LEVEL, Estimate

METHOD = "mcnemar"
# Halvings of an interval of length 2: the bound is then exact to the last bit of a double near 1.
_HALVINGS = 60


def mcnemar(regressed: int, improved: int, n: int, *, alpha: float) -> Estimate:
    """Compare two runs' right-or-wrong outcomes on the same ``n`` documents.

    The p-values are one-sided mid-p, given the number of changed documents (Fagerland, Lydersen and Laake, BMC Med Res
    Methodol 13:91, 2013); without a changed document both are 1. The bounds are Tango's (Stat Med 17:891, 1998): they
    have a width also where nothing changed. Without documents they are -1 and 1. ``stderr`` is that of a difference of
    paired proportions. Raises ValueError for counts that cannot be.
    """
    _check(regressed, improved, n)
    lower, low, high = tango_bounds(regressed, improved, n, alpha)
    return Estimate(
        method=METHOD,
        n=n,
        difference=(improved - regressed) / n if n else 0.0,
        stderr=stderr(regressed, improved, n) if n else None,
        p_worse=mid_p(regressed, improved),
        p_better=mid_p(improved, regressed),
        lower=lower,
        low=low,
        high=high,
        note="" if n else "no documents",
    )


def mid_p(more: ArrayLike, fewer: ArrayLike) -> Any:
    """One-sided mid-p of ``more`` against ``fewer`` changed documents.

    P(X > more) + P(X = more) / 2, where X is binomial with as many draws as there are changes and probability 1/2.

    Arrays are broadcast. Counts need not be whole: the binomial tails are incomplete beta functions, and effective
    counts of weighted documents are put into these (Rao and Scott, Biometrics 48:577, 1992). Of two zeros it is 1.
    """
    from scipy.special import betainc

    more, fewer = np.broadcast_arrays(np.asarray(more, dtype=np.float64), np.asarray(fewer, dtype=np.float64))
    # P(X >= more) and P(X > more): certain, or impossible, at the ends, where the function has no value.
    reached = np.where(more > 0, betainc(np.where(more > 0, more, 1), fewer + 1, 0.5), 1.0)
    passed = np.where(fewer > 0, betainc(more + 1, np.where(fewer > 0, fewer, 1), 0.5), 0.0)
    p = np.where(more + fewer > 0, (reached + passed) / 2, 1.0)
    return float(p) if p.ndim == 0 else p


def stderr(b: float, c: float, n: float) -> float:
    """Standard error of (c - b) / n; 0 where nothing changed."""
    return math.sqrt(max(0.0, b + c - (c - b) ** 2 / n)) / n


def tango_z(b: float, c: float, n: float, difference: float) -> float:
    """Tango's score statistic of the hypothesis that the true difference is ``difference``, between -1 and 1.

    Positive where (c - b) / n is above it, 0 where it is what was observed, infinite where the hypothesis leaves no
    room for chance.
    """
    excess = c - b - n * difference
    if excess == 0:
        return 0.0
    share = _constrained(b, c, n, difference)
    variance = n * (2 * share + difference * (1 - difference))
    return excess / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, excess)


def _constrained(b: float, c: float, n: float, difference: float) -> float:
    """Most likely share of right-to-wrong documents under the hypothesis, the larger root of a quadratic."""
    linear = -b - c + (2 * n - c + b) * difference
    constant = -b * difference * (1 - difference)
    root = math.sqrt(max(linear**2 - 8 * n * constant, 0.0))
    # Two spellings of one root: each is free of cancellation where it is used.
    share = -2 * constant / (root + linear) if linear > 0 else (root - linear) / (4 * n)
    return max(share, -difference, 0.0)


def tango_interval(b: float, c: float, n: float, level: float) -> tuple[float, float]:
    """Two-sided interval of (c - b) / n: the differences that Tango's test at ``level`` does not reject.

    Counts need not be whole (effective counts). Raises ValueError for counts that cannot be, and for a level outside
    (0, 1).
    """
    _check(b, c, n)
    if not 0 < level < 1:
        raise ValueError(f"expected a level between 0 and 1, found {level}")
    _, low, high = tango_bounds(b, c, n, (1 - level) / 2, level)
    return low, high


def tango_bounds(b: float, c: float, n: float, alpha: float, level: float = SHOWN_LEVEL) -> tuple[float, float, float]:
    """The one-sided lower bound at ``alpha``, and both ends of the two-sided interval at ``level``."""
    if n == 0:
        return -1.0, -1.0, 1.0
    from scipy.special import ndtri

    z, shown = -float(ndtri(alpha)), -float(ndtri((1 - level) / 2))
    return _lower(b, c, n, z), _lower(b, c, n, shown), -_lower(c, b, n, shown)


def _lower(b: float, c: float, n: float, z: float) -> float:
    """The difference, below (c - b) / n, at which the score statistic is ``z``."""
    below, above = -1.0, (c - b) / n
    for _ in range(_HALVINGS):
        middle = (below + above) / 2
        if tango_z(b, c, n, middle) > z:
            below = middle
        else:
            above = middle
    return below


def _check(b: float, c: float, n: float) -> None:
    # Effective counts may exceed n by rounding.
    if not (b >= 0 and c >= 0 and b + c <= n * (1 + 1e-9)):
        raise ValueError(f"expected counts of at least 0 with regressed + improved <= n, found {b}, {c} and {n}")
