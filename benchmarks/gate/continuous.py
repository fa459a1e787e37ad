"""Metrics with a number per document: sign flips and t."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from benchmarks.gate.rows import FALSE_ALARM, POWER, Effort, Rate, Row
from pytest_lmeval.gate.statistics.continuous import paired_t

_LEVELS = (0.05, 0.01)
_DRAWS = 1999
_Draw = Callable[[np.random.Generator, int], np.ndarray]


def rows(effort: Effort) -> Iterator[Row]:
    """Equal models of several kinds, then one that is worse by a fifth of a standard deviation."""
    for name, draw in KINDS.items():
        for n, trials in ((25, 2000), (200, 1000), (2000, 1000)):
            found = _p_values(effort, name, draw, n, trials)
            for alpha in _LEVELS:
                yield Row(
                    test="paired t or sign flips", setting=f"n={n}, {name}", what=FALSE_ALARM, alpha=alpha,
                    rate=Rate.of(found < alpha), at_most=alpha,
                )  # fmt: skip
    found = _p_values(effort, "worse", lambda random, n: random.normal(-0.2, 1, n), 200, 1000)
    for alpha in _LEVELS:
        yield Row(
            test="paired t or sign flips", setting="n=200, normal, worse by 0.2 sd", what=POWER, alpha=alpha,
            rate=Rate.of(found < alpha),
        )  # fmt: skip


def _p_values(effort: Effort, name: str, draw: _Draw, n: int, trials: int) -> np.ndarray:
    random = effort.random(f"continuous {name} {n}")
    return np.array(
        [
            paired_t(draw(random, n), alpha=0.05, seed=trial, permutations=_DRAWS).p_worse
            for trial in range(effort.times(trials))
        ]
    )


def _repeats(random: np.random.Generator, n: int) -> np.ndarray:
    """Accuracies averaged over four answers each, of two runs."""
    skill = random.beta(1, 1, n)
    return (random.binomial(4, skill) - random.binomial(4, skill)) / 4


def _overlap(random: np.random.Generator, n: int) -> np.ndarray:
    """F1 of texts: mostly the same in both runs, else anything."""
    return np.where(random.random(n) < 0.2, random.beta(0.5, 0.5, n) - random.beta(0.5, 0.5, n), 0.0)


KINDS: dict[str, _Draw] = {
    "normal": lambda random, n: random.normal(0, 1, n),
    "heavy tails of both runs": lambda random, n: random.lognormal(0, 1.5, n) - random.lognormal(0, 1.5, n),
    "answers repeated 4 times": _repeats,
    "F1, a fifth of the texts differ": _overlap,
}
