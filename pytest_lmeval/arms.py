"""Another model as the baseline: it is asked the same as the model under test, in the same run.

It works before the model under test is opened, for all tasks that will be compared, and is closed then: two models
need not fit into memory together. Under pytest-xdist a worker learns what it runs one task file at a time; there the
other model is asked file by file, as each file's turn comes, and both models of a worker stay open.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from pytest_lmeval.baselines.record import Baseline, from_result
from pytest_lmeval.errors import BackendError, ModelSpecError
from pytest_lmeval.gate.missing import too_many_errors
from pytest_lmeval.results import ItemResult, TaskResult
from pytest_lmeval.runner import Planned, Runner, task_key
from pytest_lmeval.tasks.groups import Group, aggregate
from pytest_lmeval.tasks.options import EvaluationOptions
from pytest_lmeval.tasks.spec import TaskSpec


class BaselineArm:
    """The other model's answers as baselines. Of each task only the baseline is kept, or what went wrong.

    The model is asked in every run: no store of answers is read. What cannot be asked, be it for a mistake in the
    task's file or because the model does not open, is raised for the task that needs it.
    """

    def __init__(
        self,
        model: str,
        runner: Runner,
        *,
        environment: Callable[[], Mapping[str, Any]],
        done: Callable[[], None] = lambda: None,
    ) -> None:
        """``done`` is called each time the model has finished a stretch of work."""
        self._model = model
        self._runner = runner
        self._environment = environment
        self._done = done
        self._planned: dict[str, list[Planned]] = {}
        self._baselines: dict[Hashable, Baseline | Exception] = {}
        self._parts: dict[Hashable, TaskResult] = {}

    def plan(self, tasks: Sequence[Planned]) -> None:
        """Announce, in order, the tasks whose baselines will be needed."""
        for task in tasks:
            self._planned.setdefault(task.scope, []).append(task)
        self._runner.plan(tasks)

    def ask(self, scope: str = "", also: Sequence[Planned] = ()) -> None:
        """Ask all that was announced of a scope, and close the model where nothing else is left to ask.

        Raises nothing that is about a task or the model: :meth:`baseline` does.
        """
        tasks = [*self._planned.pop(scope, ()), *also]
        waiting = {task_key(task.spec, task.options): task for task in tasks}
        waiting = {key: task for key, task in waiting.items() if key not in self._baselines}
        if not waiting:
            return
        try:
            for key, task in waiting.items():
                self._ask(key, task)
        finally:
            self._done()
            if not self._planned:
                self._runner.close()

    def baseline(
        self, target: TaskSpec | Group, options: EvaluationOptions, scope: str = "", *, max_error_rate: float = 0.0
    ) -> Baseline:
        """Return what the model answered to a task, or to the tasks of a group, asking it if it was not asked yet.

        Raises UserError for a mistake in the task, BackendError where the model failed or did not answer about more
        than a share ``max_error_rate`` of the documents.
        """
        leaves = [target] if isinstance(target, TaskSpec) else list(target.leaves())
        self.ask(scope, [Planned(leaf, options, scope) for leaf in leaves])
        baselines = [self._of(task_key(leaf, options)) for leaf in leaves]
        parts = [self._parts[task_key(leaf, options)] for leaf in leaves]
        result = parts[0] if isinstance(target, TaskSpec) else aggregate(target, parts)
        if told := too_many_errors(result, max_error_rate):
            raise self._told(BackendError(told))
        return baselines[0] if isinstance(target, TaskSpec) else self._reduced(result, baselines[0].model)

    def close(self) -> None:
        """Close the model if it is open."""
        self._runner.close()

    def _of(self, key: Hashable) -> Baseline:
        found = self._baselines[key]
        if isinstance(found, Baseline):
            return found
        raise self._told(found) from found.__cause__

    def _ask(self, key: Hashable, task: Planned) -> None:
        try:
            result = self._runner.evaluate_once(task.spec, task.options, task.scope)
            self._baselines[key] = self._reduced(result, asdict(self._runner.info))
            # What a group is made of; the documents are in the baseline.
            self._parts[key] = replace(result, items=_one_per_error(result))
        except Exception as error:  # noqa: BLE001 - kept, and raised for the item whose task it is
            self._baselines[key] = error

    def _reduced(self, result: TaskResult, model: Mapping[str, Any]) -> Baseline:
        return from_result(result, model, self._environment(), datetime.date.today().isoformat())

    def _told(self, error: Exception) -> Exception:
        """Say which of two models it is about; a mistake in a task is the same for both."""
        if isinstance(error, BackendError | ModelSpecError):
            return type(error)(f"the baseline model {self._model}: {error}")
        return error


def _one_per_error(result: TaskResult) -> tuple[ItemResult, ...]:
    """Give of the documents without an answer one for each reason, which is what is told of them."""
    return tuple({item.error: item for item in result.items if item.error is not None}.values())
