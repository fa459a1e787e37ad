"""The verdict on a whole run, by the gate itself: equal models, slightly worse ones, and one task that fell."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np

from benchmarks.gate.rows import FALSE_ALARM, POWER, Effort, Rate, Row
from benchmarks.gate.suite import flips
from benchmarks.gate.verdicts import decided, preset
from pytest_lmeval.gate.suite import Entry, SuiteStatus, SuiteVerdict, judge_suite
from pytest_lmeval.report.findings import finding

_N = 1319
_CHANGED = 0.03
WARNS = "warns or fails"


def rows(effort: Effort) -> Iterator[Row]:
    """False alarms of runs of 1 to 60 tasks; then what the test over all documents sees; then one task that fell."""
    for name in ("default", "lossless"):
        for tasks in (1, 20) if effort.quick else (1, 5, 20, 60):
            yield from _equal(effort, name, tasks, 4000 if tasks < 60 else 2000)
    yield from _equal(effort, "lossless", 20, 500, everything=True)
    for tasks in (20, 60) if effort.quick else (12, 20, 60):
        yield _power(effort, "lossless", tasks, np.full(tasks, 0.004), "each 0.4 points worse")
    yield from _warned(effort)
    for name in ("default", "lossless"):
        yield _power(effort, name, 20, np.eye(20)[0] * 0.05, "one 5 points worse")
    yield _power(effort, "lossless", 20, np.eye(20)[0] * 0.05, "one 5 points worse", everything=True)


def _equal(effort: Effort, name: str, tasks: int, trials: int, *, everything: bool = False) -> Iterator[Row]:
    random = effort.random(f"run {name} {tasks} {everything}")
    found = _judged(random, name, np.zeros(tasks), effort.times(trials), everything=everything)
    rules = preset(name)
    setting = f"{_setting(tasks)}{', all tests' * everything}"
    failed = Rate.of(verdict.failed for verdict in found)
    warned = Rate.of(verdict.status is not SuiteStatus.PASS for verdict in found)
    yield Row(
        test=f"run, {name}", setting=setting, what=FALSE_ALARM, alpha=rules.alpha, rate=failed, at_most=rules.alpha
    )
    yield Row(
        test=f"run, {name}", setting=setting, what=WARNS, alpha=rules.alpha_warn, rate=warned, at_most=rules.alpha_warn
    )


def _power(effort: Effort, name: str, tasks: int, drops: np.ndarray, told: str, *, everything: bool = False) -> Row:
    random = effort.random(f"run {name} {tasks} {told} {everything}")
    found = _judged(random, name, drops, effort.times(200 if everything else 1000), everything=everything)
    sure = tasks == 60 or drops.max() > 0.01
    return Row(
        test=f"run, {name}", setting=f"{_setting(tasks)}, {told}{', all tests' * everything}", what=POWER,
        alpha=preset(name).alpha, rate=Rate.of(verdict.failed for verdict in found), at_least=0.99 if sure else None,
    )  # fmt: skip


def _warned(effort: Effort) -> Iterator[Row]:
    """A drop everywhere that is within the margin warns."""
    found = _judged(effort.random("run warned"), "default", np.full(60, 0.004), effort.times(500))
    setting = f"{_setting(60)}, each 0.4 points worse"
    rules = preset("default")
    for what, rate, alpha in (
        (WARNS, Rate.of(verdict.status is not SuiteStatus.PASS for verdict in found), rules.alpha_warn),
        (POWER, Rate.of(verdict.failed for verdict in found), rules.alpha),
    ):
        yield Row(test="run, default", setting=setting, what=what, alpha=alpha, rate=rate)


def _judged(
    random: np.random.Generator, name: str, drops: np.ndarray, trials: int, *, everything: bool = False
) -> list[SuiteVerdict]:
    tasks = drops.size
    worse, better = flips(random, np.full(tasks, _N), np.full(tasks, _CHANGED), drops, trials)
    # The test over all documents is a member of the family.
    family = tasks + (tasks > 1)
    found = []
    for trial, counts in enumerate(zip(worse.tolist(), better.tolist(), strict=True)):
        tested = [_entry(task, *pair, name, family) for task, pair in enumerate(zip(*counts, strict=True))]
        verdict = judge_suite(tested, everything=everything, seed=trial)
        assert verdict is not None
        found.append(verdict)
    return found


@cache
def _entry(task: int, worse: int, better: int, name: str, family: int) -> Entry:
    """What an item hands to the verdict on the run."""
    rules = preset(name)
    return finding(f"task {task}", decided(worse, better, _N, rules, family), rules, leaf_of=None).tested


def _setting(tasks: int) -> str:
    return f"{tasks} task{'s' * (tasks > 1)}, n={_N}, {100 * _CHANGED:g} % change"
