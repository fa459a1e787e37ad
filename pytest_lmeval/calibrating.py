"""Ask a task that is being recorded again, and see how much its answers vary by themselves."""

from __future__ import annotations

from dataclasses import replace

from pytest_lmeval.baseline_sources import is_compared, stored_path
from pytest_lmeval.baselines.record import Noise
from pytest_lmeval.collection import TaskItem
from pytest_lmeval.gate.noise import lucky, noise_of, told
from pytest_lmeval.gate.verdict import Status, Verdict
from pytest_lmeval.options import Update
from pytest_lmeval.results import TaskResult
from pytest_lmeval.runner import Runner
from pytest_lmeval.state import SETTINGS
from pytest_lmeval.tasks.groups import Group
from pytest_lmeval.xdist import scope_of


def calibrate(item: TaskItem, result: TaskResult, runner: Runner) -> Noise | None:
    """Ask the item's task ``--lm-calibrate`` times more; None where that was not wanted or nothing is recorded.

    A group is not asked: its noise is that of its tasks. Raises as :meth:`Runner.evaluate`.
    """
    settings = item.config.stash[SETTINGS]
    runs, update = settings.baseline.calibrate, settings.baseline.update
    if not runs or isinstance(item.target, Group) or not is_compared(item):
        return None
    if update is Update.NEW and stored_path(item).exists():
        return None
    spec, scope = item.target, scope_of(item)
    others = (runner.evaluate_again(spec, settings.evaluation, run, scope) for run in range(1, runs + 1))
    return noise_of(result, others)


def with_noise(verdict: Verdict, noise: Noise | None) -> Verdict:
    """Say beside the recording what the further runs showed."""
    if noise is None or verdict.status is not Status.RECORDED:
        return verdict
    first, *others = verdict.reasons
    return replace(verdict, reasons=(f"{first}; {told(noise)}", *others))


def with_warning(result: TaskResult, noise: Noise | None) -> TaskResult:
    """Add the warning that the recorded run was lucky, where it was."""
    better_is_higher = result.metric(result.main_metric).higher_is_better
    warning = None if noise is None else lucky(noise, higher_is_better=better_is_higher)
    return result if warning is None else replace(result, warnings=(*result.warnings, warning))
