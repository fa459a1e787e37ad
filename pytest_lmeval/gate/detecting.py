"""What a comparison could have seen: the smallest drop that its test finds in four of five runs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pytest_lmeval.gate.numbers import is_fraction
from pytest_lmeval.gate.statistics.power import detectable_binary, detectable_continuous
from pytest_lmeval.gate.statistics.units import FEW_UNITS, FEWEST_UNITS

if TYPE_CHECKING:
    from pytest_lmeval.gate.evidence import Evidence, Levels
    from pytest_lmeval.gate.statistics.estimate import Estimate

POWER = 0.8


def smallest_drop(evidence: Evidence, levels: Levels) -> float:
    """Return the smallest detectable drop in the metric's unit, infinite where the test can see none.

    Without flips, or with few, no drop smaller than the fewest one-sided flips that are significant can be seen; where
    these are more than there are documents, none at all.
    """
    estimate = evidence.estimate
    if evidence.flip_rate is None or estimate.clusters is not None:
        if estimate.stderr is None or not math.isfinite(estimate.stderr) or not _can_tell(estimate, levels):
            return math.inf
        if estimate.stderr > 0:
            return detectable_continuous(estimate.stderr, alpha=levels.alpha, power=POWER)
        # On an open scale nothing says how much one document can lose.
        return _fewest(estimate.n, levels) if is_fraction(evidence.baseline, evidence.value) else math.inf
    least = _fewest(estimate.n, levels)
    if not evidence.flip_rate or not math.isfinite(least):
        return least
    return max(least, detectable_binary(estimate.n, evidence.flip_rate, alpha=levels.alpha, power=POWER))


def _can_tell(estimate: Estimate, levels: Levels) -> bool:
    """Whether so few clusters can be significant: where there are few, their signs are turned, 2^C ways."""
    clusters = estimate.clusters
    if clusters is None or clusters >= FEW_UNITS:
        return True
    return clusters >= FEWEST_UNITS and 2.0**-clusters <= levels.alpha


def fewest_flips(alpha: float) -> int:
    """Return how many flips, all to the worse, mid-p McNemar needs: half of 2^-b must be below ``alpha``."""
    return max(1, math.floor(-math.log2(2 * alpha)) + 1)


def _fewest(n: int, levels: Levels) -> float:
    flips = fewest_flips(levels.alpha)
    return flips / n if flips <= n else math.inf
