"""Intervals of a single proportion."""

from __future__ import annotations

import math


def wilson(successes: float, n: float, level: float) -> tuple[float, float]:
    """Wilson's score interval (J Am Stat Assoc 22:209, 1927); 0 and 1 where ``n`` is 0. Raises ValueError."""
    _check(successes, n, level)
    if n == 0:
        return 0.0, 1.0
    from scipy.special import ndtri

    z = -float(ndtri((1 - level) / 2))
    p = successes / n
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    # At the ends the interval touches 0 and 1 exactly, which rounding would miss.
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == n else min(1.0, centre + half)
    return low, high


def clopper_pearson(successes: int, n: int, level: float) -> tuple[float, float]:
    """The exact interval (Biometrika 26:404, 1934), of at least the level; 0 and 1 where ``n`` is 0.

    Raises ValueError.
    """
    _check(successes, n, level)
    from scipy.special import betaincinv

    tail = (1 - level) / 2
    low = float(betaincinv(successes, n - successes + 1, tail)) if successes > 0 else 0.0
    high = float(betaincinv(successes + 1, n - successes, 1 - tail)) if successes < n else 1.0
    return low, high


def _check(successes: float, n: float, level: float) -> None:
    if not 0 <= successes <= n:
        raise ValueError(f"expected between 0 and {n} successes, found {successes}")
    if not 0 < level < 1:
        raise ValueError(f"expected a level between 0 and 1, found {level}")
