"""The drift test on gold margins."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.gate.rows import FALSE_ALARM, POWER, Effort, Rate, Row
from pytest_lmeval.gate.statistics.margins import drift

_N = 200
_ALPHA = 0.01


def rows(effort: Effort) -> Iterator[Row]:
    """Noise of several sizes relative to margins of spread 1, with and without a shift of their mean."""
    for name, noise, shift, trials in (
        ("float32, other batches", 5e-8, 0.0, 400),
        ("noise of 0.03 sd", 0.03, 0.0, 1000),
    ):
        found = _moved(effort, name, noise, shift, trials, None)
        yield Row(test="margins", setting=f"n={_N}, {name}", what=FALSE_ALARM, alpha=_ALPHA, rate=found, at_most=_ALPHA)
    measured = 0.1 * (2 / np.pi) ** 0.5
    equal = _moved(effort, "measured", 0.1, 0.0, 1500, measured)
    setting = f"n={_N}, noise of 0.1 sd, measured before"
    yield Row(test="margins", setting=setting, what=FALSE_ALARM, alpha=_ALPHA, rate=equal, at_most=_ALPHA)
    drifted = _moved(effort, "drifted", 0.1, -0.02, 500, measured)
    yield Row(test="margins", setting=f"{setting}, 0.02 sd worse", what=POWER, alpha=_ALPHA, rate=drifted)
    wider = Rate.of(
        drift(now, then, alpha=0.1, seed=trial, floor_mean=measured).moved
        for trial, (now, then) in enumerate(_pairs(effort, "drifted at 0.1", 0.1, -0.02, 500))
    )
    yield Row(test="margins", setting=f"{setting}, 0.02 sd worse", what=POWER, alpha=0.1, rate=wider, at_least=0.85)
    rounded = _moved(effort, "four bits", 0.36, -0.08, 200, None)
    yield Row(
        test="margins", setting=f"n={_N}, noise of 0.36 sd as of four bits", what=POWER, alpha=_ALPHA, rate=rounded,
        at_least=0.99,
    )  # fmt: skip


def _moved(effort: Effort, name: str, noise: float, shift: float, trials: int, floor: float | None) -> Rate:
    return Rate.of(
        drift(now, then, alpha=_ALPHA, seed=trial, floor_mean=floor).moved
        for trial, (now, then) in enumerate(_pairs(effort, name, noise, shift, trials))
    )


def _pairs(
    effort: Effort, name: str, noise: float, shift: float, trials: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    random = effort.random(f"margins {name}")
    for _ in range(effort.times(trials)):
        then = random.normal(0.3, 1, _N)
        yield then + random.normal(shift, noise, _N), then
