"""Right-or-wrong metrics: exact rates, as sums over all outcomes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.stats import binom, norm

from benchmarks.gate.rows import FALSE_ALARM, POWER, Effort, Rate, Row
from pytest_lmeval.gate.statistics.binary import mid_p, tango_z

SIZES = (200, 500, 1319, 4096, 10_042)
SHARES = (0.01, 0.02, 0.03, 0.05, 0.10, 0.20)
LEVELS = (0.05, 0.01)
# Outcomes beyond these quantiles are left out.
_TAIL = 1e-12


def rows(effort: Effort) -> Iterator[Row]:
    """False alarms and power of McNemar's test, and of the bound that non-inferiority is judged by."""
    for n in SIZES:
        for share in SHARES:
            for alpha in LEVELS:
                rate = Rate(value=rejection(n, share / 2, share / 2, alpha))
                yield Row(
                    test="McNemar mid-p", setting=_setting(n, share), what=FALSE_ALARM, alpha=alpha, rate=rate,
                    at_most=alpha,
                )  # fmt: skip
    yield from _power()
    yield from _noninferiority()


def _power() -> Iterator[Row]:
    for n, share, drop, alpha, least in (
        (1319, 0.03, 0.02, 0.05, 0.99),
        (1319, 0.03, 0.02, 0.01, 0.95),
        (1319, 0.05, 0.02, 0.05, None),
        (1319, 0.05, 0.02, 0.01, None),
        (4096, 0.05, 0.01, 0.05, None),
        (10_042, 0.05, 0.01, 0.01, None),
        (200, 0.05, 0.05, 0.05, None),
    ):
        rate = Rate(value=rejection(n, (share + drop) / 2, (share - drop) / 2, alpha))
        setting = f"{_setting(n, share)}, {100 * drop:g} points worse"
        yield Row(test="McNemar mid-p", setting=setting, what=POWER, alpha=alpha, rate=rate, at_least=least)


def _noninferiority() -> Iterator[Row]:
    """The bound is above the margin with at most the level where the truth is at the margin."""
    for n, share, margin in ((1319, 0.03, 0.01), (1319, 0.05, 0.01), (4096, 0.05, 0.01), (1319, 0.05, 0.02)):
        for alpha in LEVELS:
            shown = Rate(value=_shown(n, (share + margin) / 2, (share - margin) / 2, margin, alpha))
            equal = Rate(value=_shown(n, share / 2, share / 2, margin, alpha))
            setting = f"{_setting(n, share)}, margin {100 * margin:g} points"
            yield Row(
                test="Tango bound", setting=f"{setting}, worse by it", what="shown harmless", alpha=alpha, rate=shown,
                at_most=alpha,
            )  # fmt: skip
            yield Row(test="Tango bound", setting=f"{setting}, equal", what="shown harmless", alpha=alpha, rate=equal)


def rejection(n: int, worse: float, better: float, alpha: float) -> float:
    """How often the test rejects, where a document turns wrong and right with these probabilities."""
    changed = worse + better
    flips = np.arange(max(1, binom.ppf(_TAIL, n, changed)), binom.isf(_TAIL, n, changed) + 1)
    critical = _critical(flips, alpha)
    return float((binom.pmf(flips, n, changed) * binom.sf(critical - 1, flips, worse / changed)).sum())


def _critical(flips: np.ndarray, alpha: float) -> np.ndarray:
    """The fewest regressions among so many changes that the test rejects; one more than there are where none do."""
    low, high = np.floor(flips / 2) - 1, flips + 1
    while (high - low > 1).any():
        middle = np.floor((low + high) / 2)
        rejects = mid_p(middle, flips - middle) < alpha
        low, high = np.where(rejects, low, middle), np.where(rejects, middle, high)
    return high


def _shown(n: int, worse: float, better: float, margin: float, alpha: float) -> float:
    b, c = (np.arange(binom.ppf(_TAIL, n, p), binom.isf(_TAIL, n, p) + 1) for p in (worse, better))
    grid_b, grid_c = b[:, None], c[None, :]
    chance = binom.pmf(grid_b, n, worse) * binom.pmf(grid_c, n - grid_b, better / (1 - worse))
    scores = np.array([[tango_z(x, y, n, -margin) for y in c.tolist()] for x in b.tolist()])
    return float((chance * (scores > norm.isf(alpha))).sum())


def _setting(n: int, share: float) -> str:
    return f"n={n}, {100 * share:g} % change"
