"""Many tasks at once: Holm, the pooled test, groups with weights of their own, and one collapsed task."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.gate.rows import FALSE_ALARM, POWER, Effort, Rate, Row
from pytest_lmeval.gate.statistics.binary import mcnemar, mid_p
from pytest_lmeval.gate.statistics.combining import largest_drop, stratified
from pytest_lmeval.gate.statistics.multiple import fisher, holm

_TASKS = 20
_N = 1319
_CHANGED = 0.03
_LEVELS = (0.05, 0.01)


def rows(effort: Effort) -> Iterator[Row]:
    """Twenty tasks of equal models; then all of them a little worse; then one much worse; then a group."""
    yield from _twenty(effort, "equal models", np.zeros(_TASKS), 8000)
    yield from _twenty(effort, "each 0.4 points worse", np.full(_TASKS, 0.004), 1500)
    yield from _twenty(effort, "one 3 points worse", np.eye(_TASKS)[0] * 0.03, 1500)
    yield from _group(effort)


def _twenty(effort: Effort, name: str, drops: np.ndarray, trials: int) -> Iterator[Row]:
    random = effort.random(f"suite {name}")
    trials = effort.times(trials)
    b, c = flips(random, np.full(_TASKS, _N), np.full(_TASKS, _CHANGED), drops, trials)
    p = mid_p(b, c)
    alone = min(trials, effort.times(200))
    tests = {
        "any of the tasks, unadjusted": p.min(axis=1),
        "Holm": np.array([min(holm(row)) for row in p.tolist()]),
        "pooled": mid_p(b.sum(axis=1), c.sum(axis=1)),
        "Fisher": np.array([fisher(row) for row in p.tolist()]),
        "largest drop": _largest_drops(b[:alone], c[:alone]),
    }
    equal = not drops.any()
    for test, found in tests.items():
        for alpha in _LEVELS:
            promised = equal and not test.endswith("unadjusted")
            yield Row(
                test=test, setting=f"{_TASKS} tasks, n={_N}, {100 * _CHANGED:g} % change, {name}",
                what=FALSE_ALARM if equal else POWER, alpha=alpha, rate=Rate.of(found < alpha),
                at_most=alpha if promised else None,
                at_least=0.9 if test == "pooled" and name.startswith("each") else None,
            )  # fmt: skip


def _largest_drops(b: np.ndarray, c: np.ndarray) -> np.ndarray:
    suites = [[(int(x), int(y), _N) for x, y in zip(*tasks, strict=True)] for tasks in zip(b, c, strict=True)]
    found = [largest_drop(suite, seed=trial, draws=1999) for trial, suite in enumerate(suites)]
    return np.array([1.0 if drop is None else drop.p for drop in found])


def _group(effort: Effort) -> Iterator[Row]:
    """A macro average of tasks of 50 to 1500 documents, in which few documents change."""
    sizes = np.array([50, 80, 100, 100, 150, 200, 300, 400, 800, 1500])
    for share in (0.01, 0.03):
        random = effort.random(f"group {share}")
        b, c = flips(random, sizes, np.full(sizes.size, share), np.zeros(sizes.size), effort.times(1000))
        found = [_macro(*counts, sizes) for counts in zip(b, c, strict=True)]
        setting = f"{sizes.size} tasks of {sizes.min()} to {sizes.max()} documents, {100 * share:g} % change"
        for alpha in _LEVELS:
            yield Row(
                test="macro average", setting=setting, what=FALSE_ALARM, alpha=alpha,
                rate=Rate.of(p < alpha for p, _ in found), at_most=alpha,
            )  # fmt: skip
        yield Row(
            test="macro average", setting=setting, what="bound above the truth", alpha=0.05,
            rate=Rate.of(lower > 0 for _, lower in found), at_most=0.05,
        )  # fmt: skip


def _macro(b: np.ndarray, c: np.ndarray, sizes: np.ndarray) -> tuple[float, float]:
    parts = [mcnemar(int(x), int(y), int(n), alpha=0.05) for x, y, n in zip(b, c, sizes, strict=True)]
    found = stratified(parts, [1.0] * len(parts), alpha=0.05)
    return found.p_worse, found.lower


def flips(
    random: np.random.Generator, sizes: np.ndarray, shares: np.ndarray, drops: np.ndarray, trials: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draw [trials, tasks] counts of documents that turn wrong, and right.

    A share of each task's documents changes, one half each way but for the drop; at least as many as the drop is.
    """
    changed = np.maximum(shares, drops)
    moved = random.binomial(sizes, changed, size=(trials, sizes.size))
    b = random.binomial(moved, (changed + drops) / (2 * changed))
    return b, moved - b
