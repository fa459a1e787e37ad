"""Documents that belong together: what becomes of a test that ignores it, and of the one that does not."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from benchmarks.gate.rows import FALSE_ALARM, POWER, Effort, Rate, Row
from pytest_lmeval.gate.statistics.continuous import clustered
from pytest_lmeval.gate.statistics.units import by_t

_SIZE = 25
_CORRELATION = 0.1
_LEVELS = (0.05, 0.01)


def rows(effort: Effort) -> Iterator[Row]:
    """Twenty clusters of 25, the same with a test that ignores them, and seven clusters."""
    trials = effort.times(4000)
    for clusters in (20, 7, 100):
        runs = _runs(effort.random(f"clusters {clusters}"), clusters, trials)
        found = _p_values(runs, clusters)
        setting = f"{clusters} clusters of {_SIZE}, correlation {_CORRELATION:g}"
        for alpha in _LEVELS:
            yield Row(
                test="clustered", setting=setting, what=FALSE_ALARM, alpha=alpha, rate=Rate.of(found < alpha),
                at_most=alpha,
            )  # fmt: skip
        if clusters == 20:
            naive = np.array([_naive(run) for run in runs])
            yield Row(
                test="ignoring clusters", setting=setting, what=FALSE_ALARM, alpha=0.05, rate=Rate.of(naive < 0.05)
            )
    worse = _p_values(_runs(effort.random("clusters worse"), 20, effort.times(1000)) - 0.3, 20)
    yield Row(
        test="clustered", setting=f"20 clusters of {_SIZE}, worse by 0.3 sd", what=POWER, alpha=0.05,
        rate=Rate.of(worse < 0.05),
    )  # fmt: skip


def _runs(random: np.random.Generator, clusters: int, trials: int) -> np.ndarray:
    shared = random.normal(0, math.sqrt(_CORRELATION), (trials, clusters, 1))
    own = random.normal(0, math.sqrt(1 - _CORRELATION), (trials, clusters, _SIZE))
    return (shared + own).reshape(trials, -1)


def _p_values(runs: np.ndarray, clusters: int) -> np.ndarray:
    codes = [document // _SIZE for document in range(clusters * _SIZE)]
    return np.array([clustered(run, codes, alpha=0.05, seed=trial).p_worse for trial, run in enumerate(runs)])


def _naive(run: np.ndarray) -> float:
    stderr = float(run.std(ddof=1)) / math.sqrt(run.size)
    return by_t(float(run.mean()), stderr, run.size - 1, alpha=0.05, method="t", n=run.size).p_worse
