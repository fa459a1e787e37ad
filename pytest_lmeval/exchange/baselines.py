"""A run of lm-evaluation-harness as what a run of today is compared with."""

from __future__ import annotations

import time
from collections.abc import Hashable
from pathlib import Path

from pytest_lmeval.baselines.record import Baseline, from_result
from pytest_lmeval.errors import BaselineError, RunError
from pytest_lmeval.exchange.facts import environment_of, info_of
from pytest_lmeval.exchange.owned import owned_baseline
from pytest_lmeval.exchange.specified import SpecifiedReading
from pytest_lmeval.exchange.tasks import HarnessRun
from pytest_lmeval.runner import task_key
from pytest_lmeval.suggestions import suggestion
from pytest_lmeval.tasks.options import EvaluationOptions
from pytest_lmeval.tasks.spec import TaskSpec


class HarnessBaselines:
    """The baselines of one such run, each made when it is first asked for, and kept."""

    def __init__(self, run: HarnessRun) -> None:
        self._run = run
        self._made: dict[Hashable, Baseline] = {}

    @classmethod
    def open(cls, path: Path) -> HarnessBaselines:
        """Open a results file, or the latest of a folder. Raises BaselineError."""
        try:
            return cls(HarnessRun.open(path))
        except RunError as error:
            raise BaselineError(str(error)) from None

    def __contains__(self, task: str) -> bool:
        return task in self._run.results.tasks

    def baseline(self, spec: TaskSpec, options: EvaluationOptions) -> Baseline | None:
        """Return a task's baseline, None where the run does not have the task.

        Raises BaselineError where no documents were logged or where it cannot be told what was asked.
        """
        if spec.task not in self:
            return None
        key = task_key(spec, options)
        if key not in self._made:
            try:
                self._made[key] = self._make(spec, options)
            except RunError as error:
                raise BaselineError(str(error)) from None
        return self._made[key]

    def missing(self, task: str) -> str:
        """Say that a task is not in the run, with the name that was perhaps meant."""
        return f"{self._run.output.results.name} has no task {task}.{suggestion(task, self._run.tasks, 'It has')}"

    def _make(self, spec: TaskSpec, options: EvaluationOptions) -> Baseline:
        if self._run.results.own is not None:
            return owned_baseline(self._run, spec.task)
        results = self._run.results
        self._check_conversations(spec.task)
        result = self._run.result(spec.task, SpecifiedReading(self._run.task(spec.task), results, spec, options))
        if not result.items:
            raise RunError(
                f"{self._run.output.results}: the documents of {spec.task} were not logged, and without them nothing "
                "can be compared one by one: run lm_eval with --log_samples"
            )
        created = time.strftime("%Y-%m-%d", time.gmtime(results.date))
        return from_result(result, info_of(results), environment_of(results), created)

    def _check_conversations(self, task: str) -> None:
        if self._run.results.chat_template is not None:
            raise RunError(
                f"{self._run.output.results}: {task} was asked in conversations, of which lm-evaluation-harness logs "
                "what the model's template made of them and not the messages: they cannot be told to be today's"
            )
