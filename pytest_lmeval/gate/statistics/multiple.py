"""Several tests at once: adjusted p-values, and one p-value of many.

Everywhere a p-value of NaN stands for a test that could not be made: it stays NaN and does not count among the tests.
Other values outside of 0 to 1 raise ValueError.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from pytest_lmeval.gate.statistics.arrays import Floats


def holm(p: Sequence[float]) -> list[float]:
    """Adjust for the family-wise error, under any dependence (Holm, Scand J Stat 6:65, 1979).

    In the order of ``p``.
    """
    values = _checked(p)
    m = values.size
    order = np.argsort(values, kind="stable")
    adjusted = np.maximum.accumulate(np.minimum(1.0, (m - np.arange(m)) * values[order]))
    return _restored(p, order, adjusted)


def bonferroni(p: Sequence[float]) -> list[float]:
    """Adjust by the number of tests alone; in the order of ``p``."""
    values = _checked(p)
    return _restored(p, np.arange(values.size), np.minimum(1.0, values * values.size))


def benjamini_hochberg(p: Sequence[float]) -> list[float]:
    """Adjust to q-values: "below q" has a false discovery rate of q (J R Stat Soc B 57:289, 1995).

    For independent or positively dependent tests; in the order of ``p``.
    """
    values = _checked(p)
    if not values.size:
        return list(p)
    from scipy.stats import false_discovery_control

    return _restored(p, np.arange(values.size), np.asarray(false_discovery_control(values, method="bh")))


def fisher(p: Sequence[float]) -> float:
    """One p-value of independent tests: -2 Σ ln p is χ² with 2 K degrees of freedom (Fisher 1925). 1 without tests."""
    values = _checked(p)
    if not values.size:
        return 1.0
    from scipy.special import chdtrc

    if values.min() == 0:
        return 0.0
    return float(chdtrc(2 * values.size, -2 * float(np.log(values).sum())))


def _checked(p: Sequence[float]) -> Floats:
    values = np.asarray(p, dtype=np.float64)
    values = values[~np.isnan(values)]
    if values.size and not (values.min() >= 0 and values.max() <= 1):
        raise ValueError(f"expected p-values between 0 and 1, found {values.min():g} to {values.max():g}")
    return values


def _restored(p: Sequence[float], order: np.typing.NDArray[np.intp], adjusted: Floats) -> list[float]:
    """Put the values of the tests that were made back into their places."""
    placed = np.empty(order.size)
    placed[order] = adjusted
    made = iter(placed.tolist())
    return [math.nan if math.isnan(value) else next(made) for value in p]
