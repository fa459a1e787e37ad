"""Ask a task that is being recorded again, and see how much its answers vary by themselves."""

from __future__ import annotations

from dataclasses import replace

from pytest_lmeval.baselines.record import Noise
from pytest_lmeval.collection import TaskItem
from pytest_lmeval.gate.noise import lucky, noise_of, told
from pytest_lmeval.gate.verdict import Status, Verdict
from pytest_lmeval.results import TaskResult
from pytest_lmeval.runner import Runner
from pytest_lmeval.state import SETTINGS
from pytest_lmeval.tasks.groups import Group
from pytest_lmeval.tasks.spec import TaskSpec
from pytest_lmeval.xdist import scope_of


class Calibration:
    """Asks the task of ``item`` ``--lm-calibrate`` times more, if it is called: that is for what will be recorded."""

    def __init__(self, item: TaskItem, spec: TaskSpec, result: TaskResult, runner: Runner) -> None:
        self._item = item
        self._spec = spec
        self._result = result
        self._runner = runner
        self._noise: Noise | None = None

    def __call__(self) -> Noise:
        """Compare the further runs with the result. Raises as :meth:`Runner.evaluate`."""
        settings, scope = self._item.config.stash[SETTINGS], scope_of(self._item)
        runs = range(1, settings.baseline.calibrate + 1)
        self._noise = noise_of(
            self._result,
            (self._runner.evaluate_again(self._spec, settings.evaluation, run, scope) for run in runs),
        )
        return self._noise

    def beside(self, verdict: Verdict) -> Verdict:
        """Say beside the recording what the further runs showed."""
        if self._noise is None or verdict.status is not Status.RECORDED:
            return verdict
        first, *others = verdict.reasons
        return replace(verdict, reasons=(f"{first}; {told(self._noise)}", *others))

    def warned(self) -> TaskResult:
        """Return the result, with a warning if it was a lucky one."""
        result = self._result
        higher_is_better = result.metric(result.main_metric).higher_is_better
        warning = None if self._noise is None else lucky(self._noise, higher_is_better=higher_is_better)
        return result if warning is None else replace(result, warnings=(*result.warnings, warning))


def calibration_of(item: TaskItem, result: TaskResult, runner: Runner) -> Calibration | None:
    """Prepare the further runs; None where none are wanted. A group is not asked: its noise is that of its tasks."""
    wanted = item.config.stash[SETTINGS].baseline.calibrate
    return Calibration(item, item.target, result, runner) if wanted and not isinstance(item.target, Group) else None
