"""Against a published number: hardly a false alarm, and hardly any power."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.gate.rows import FALSE_ALARM, POWER, Effort, Rate, Row
from pytest_lmeval.gate.statistics.unpaired import deviation, unpaired_threshold

_N = 1319
_ACCURACY = 0.75
_CHANGED = 0.05


def rows(effort: Effort) -> Iterator[Row]:
    """Two runs over the same documents, of which the rule knows nothing, and over different ones."""
    random = effort.random("unpaired")
    trials = effort.times(10_000)
    for drop in (0.0, 0.02, 0.05):
        reference, value = _same_documents(random, drop, trials)
        yield _row(f"the same documents{_worse(drop)}", reference, value, drop, 0.05)
    reference, value = (random.binomial(_N, _ACCURACY, trials) / _N for _ in range(2))
    # The deviation is that of a reference which varies itself: a low one makes the threshold too narrow.
    yield _row("other documents", reference, value, 0.0, 0.055)


def _row(setting: str, reference: np.ndarray, value: np.ndarray, drop: float, limit: float) -> Row:
    thresholds = np.array([unpaired_threshold(r, _N, deviation(r, _N), 0.05, True) for r in reference])
    return Row(
        test="unpaired",
        setting=f"n={_N}, {setting}",
        what=POWER if drop else FALSE_ALARM,
        alpha=0.05,
        rate=Rate.of(value < thresholds),
        at_most=None if drop else limit,
    )


def _worse(drop: float) -> str:
    return f", {100 * drop:g} points worse" if drop else ""


def _same_documents(random: np.random.Generator, drop: float, trials: int) -> tuple[np.ndarray, np.ndarray]:
    """One in twenty documents changes, and as many more as the drop is."""
    right = random.binomial(_N, _ACCURACY, trials)
    lost = random.binomial(right, min(1.0, (_CHANGED / 2 + drop) / _ACCURACY))
    gained = random.binomial(_N - right, _CHANGED / 2 / (1 - _ACCURACY))
    return right / _N, (right - lost + gained) / _N
