"""Evaluate tasks on one model: opens the model when it is first needed, remembers results, batches across tasks."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

from pytest_lmeval.backends.protocol import LOG_LIKELIHOOD, Answer, Backend, ModelInfo, Request
from pytest_lmeval.broker import Broker, Job, Observer
from pytest_lmeval.errors import BackendError
from pytest_lmeval.model_facts import ModelFacts
from pytest_lmeval.results import ItemResult, TaskResult
from pytest_lmeval.tasks.evaluation import Evaluation
from pytest_lmeval.tasks.groups import Group, aggregate
from pytest_lmeval.tasks.options import EvaluationOptions
from pytest_lmeval.tasks.other_scores import item_under, under
from pytest_lmeval.tasks.python_tasks import PythonEvaluation
from pytest_lmeval.tasks.spec import TaskSpec
from pytest_lmeval.unanswered import all_answered
from pytest_lmeval.watching import DocumentWatcher, Watch


@dataclass(frozen=True)
class Planned:
    """A task that will be evaluated in this process, with the scope within which it may share batches.

    ``watch`` makes what says when enough of its documents have been asked.
    """

    spec: TaskSpec
    options: EvaluationOptions
    scope: str = ""
    watch: Watch | None = None


class Runner:
    """One model and everything asked of it in this process."""

    def __init__(self, open_backend: Callable[[], Backend], *, observe: Observer = lambda job, answer: None) -> None:
        self._open_backend = open_backend
        self._observe = observe
        self._backend: Backend | None = None
        self._broker: Broker | None = None
        self._facts: ModelFacts | None = None
        self._open_error: Exception | None = None
        self._planned: list[Job] = []
        self._jobs: dict[Hashable, Job] = {}
        self._results: dict[Hashable, TaskResult] = {}

    def plan(self, tasks: Sequence[Planned]) -> None:
        """Announce, in order, the tasks that will follow: they fill the batches of those before them."""
        for task in tasks:
            if task.spec.python_class is not None:
                continue  # its class builds all requests at once: it is asked when its turn comes
            key = task_key(task.spec, task.options)
            if key not in self._jobs:
                self._jobs[key] = self._job(task.spec, task.options, task.scope, task.watch)
                self._planned.append(self._jobs[key])

    def evaluate(
        self, spec: TaskSpec, options: EvaluationOptions, scope: str = "", watch: Watch | None = None
    ) -> TaskResult:
        """Return the task's result; asked again with the same options, the same result.

        Who gives ``watch`` takes a result of the first documents where these are enough, as ``stopped`` then says; all
        others get that of all. Raises UserError for mistakes in the task or its data, BackendError where the model
        answered about no document.
        """
        key = task_key(spec, options)
        if key not in self._results:
            self._results[key] = self.evaluate_once(spec, options, scope, watch)
        if self._results[key].stopped is not None and watch is None:
            self._results[key] = self.evaluate_once(spec, options, scope)
        return self._results[key]

    def evaluate_once(
        self, spec: TaskSpec, options: EvaluationOptions, scope: str = "", watch: Watch | None = None
    ) -> TaskResult:
        """Return the task's result and remember nothing of it; asked again, the model is asked again.

        Raises as :meth:`evaluate`.
        """
        if spec.python_class is not None:
            return self._run_python(spec, options, scope)
        key = task_key(spec, options)
        result = self._run(self._jobs.get(key) or self._job(spec, options, scope, watch))
        # The prompts and documents are no longer needed.
        self._jobs.pop(key, None)
        return result

    def evaluate_again(self, spec: TaskSpec, options: EvaluationOptions, run: int, scope: str = "") -> TaskResult:
        """Ask the same once more, as further run ``run`` from 1 on: in another order, and sampled anew.

        The model itself is asked, always: answers that were kept would only show what they were.
        """
        return self.evaluate_once(spec, replace(options, run=run), scope)

    def evaluate_group(
        self, group: Group, options: EvaluationOptions, scope: str = "", watch: Watch | None = None
    ) -> TaskResult:
        """Return the group's aggregate; leaves not evaluated yet are evaluated now."""
        leaves = [self.evaluate(leaf, options, scope, watch) for leaf in group.leaves()]
        return replace(aggregate(group, leaves), stopped=_first_stopped(leaves))

    def ask(self, operation: str, requests: Callable[[Iterator[int]], Sequence[Request]], name: str) -> list[Answer]:
        """Ask the model directly; ``requests`` makes them from an iterator of ids.

        Raises BackendError where one was not answered.
        """
        job = Job(name=name, operation=operation, open=lambda: _Fixed(requests))
        return all_answered(name, self.broker.answers(job), job.cause)

    @property
    def broker(self) -> Broker:
        """The broker on the open model; opens it when first asked for."""
        if self._broker is None:
            self._broker = Broker(self.backend, observe=self._observe)
            self._broker.plan(self._planned)
            # From here on the broker forgets each job as it starts; another reference would keep its answers.
            self._planned = []
        return self._broker

    @property
    def backend(self) -> Backend:
        """The open model. A failed opening is not tried again; who asks later is told in a line."""
        if self._open_error is not None:
            lines = str(self._open_error).splitlines() or [type(self._open_error).__name__]
            raise BackendError(f"the model did not open, as the first test that needed it tells: {lines[0]}")
        if self._backend is None:
            try:
                self._backend = self._open_backend()
            except Exception as error:
                self._open_error = error
                raise
        return self._backend

    @property
    def info(self) -> ModelInfo:
        """What the model is. Opens it."""
        return self.backend.info

    @property
    def facts(self) -> ModelFacts | None:
        """What has answered and what that took, None where no model was opened. Opens none."""
        return self._facts if self._backend is None else ModelFacts.of(self._backend)

    def close(self) -> None:
        """Close the model if it was opened."""
        if self._backend is not None:
            self._facts = ModelFacts.of(self._backend)
            self._backend.close()
        self._backend = self._broker = None

    def _run(self, job: Job) -> TaskResult:
        started = time.perf_counter()
        # Before the model is loaded: a mistake in the task is reported in a second, not after minutes.
        job.prepare()
        started += self._opening()
        answers = self.broker.answers(job)
        assert isinstance(job.source, Evaluation)
        with _caused_by(job):
            seconds = time.perf_counter() - started
            return self._named(job.source.score(answers, seconds=seconds, stopped=_stopped(job)))

    def _run_python(self, spec: TaskSpec, options: EvaluationOptions, scope: str) -> TaskResult:
        started = time.perf_counter()
        evaluation = PythonEvaluation(spec, options)
        started += self._opening()
        jobs = [
            Job(name=spec.task, operation=operation, open=lambda part=part: part, scope=scope)  # type: ignore[misc]
            for operation, part in evaluation.parts.items()
        ]
        answers = {job.operation: self.broker.answers(job) for job in jobs}
        with _caused_by(*jobs):
            return self._named(evaluation.score(answers, seconds=time.perf_counter() - started))

    def _opening(self) -> float:
        """Open the model if it is not; return the seconds that took, which are not the task's that comes first."""
        before = time.perf_counter()
        _ = self.broker
        return time.perf_counter() - before

    def _named(self, result: TaskResult) -> TaskResult:
        """Name the metrics after what this model gives in place of log-likelihoods, if it does."""
        other = self._other_scoring(result.settings.output_type)
        return result if other is None else under(result, other)

    def _named_item(self, output_type: str, item: ItemResult) -> ItemResult:
        other = self._other_scoring(output_type)
        return item if other is None else item_under(item, other)

    def _other_scoring(self, output_type: str) -> str | None:
        other = self.info.scoring
        scored = output_type in ("multiple_choice", "loglikelihood")
        return other if scored and other != LOG_LIKELIHOOD else None

    def _job(self, spec: TaskSpec, options: EvaluationOptions, scope: str, watch: Watch | None) -> Job:
        def open_() -> Evaluation:
            evaluation = Evaluation(spec, options)
            monitor = watch(evaluation) if watch is not None and evaluation.scores_singly else None
            if monitor is not None:
                if monitor.compares:
                    evaluation.shuffle()
                job.watcher = DocumentWatcher(evaluation, monitor, partial(self._named_item, spec.output_type))
            return evaluation

        job = Job(name=spec.task, operation=_operation(spec.output_type), open=open_, scope=scope)
        return job


@dataclass(frozen=True)
class _Fixed:
    make: Callable[[Iterator[int]], Sequence[Request]]

    def requests(self, ids: Iterator[int]) -> Iterator[Request]:
        yield from self.make(ids)


@contextmanager
def _caused_by(*jobs: Job) -> Iterator[None]:
    """Chain a failure of the model's to what broke it, for ``--full-trace``."""
    try:
        yield
    except BackendError as error:
        raise error from next((job.cause for job in jobs if job.cause is not None), None)


def _stopped(job: Job) -> str | None:
    return job.watcher.reason if isinstance(job.watcher, DocumentWatcher) else None


def _first_stopped(leaves: Sequence[TaskResult]) -> str | None:
    """Say of a group which of its leaves were not asked all."""
    stopped = [f"{leaf.task}: {leaf.stopped}" for leaf in leaves if leaf.stopped is not None]
    more = f" (and {len(stopped) - 1} more of its tasks)" if len(stopped) > 1 else ""
    return f"{stopped[0]}{more}" if stopped else None


def _operation(output_type: str) -> str:
    return "loglikelihood" if output_type == "multiple_choice" else output_type


def task_key(spec: TaskSpec, options: EvaluationOptions) -> Hashable:
    """Tell what is asked: equal keys, equal questions."""
    # A group may override keys of a task: then it is another task under the same name.
    return spec.path, spec.task, repr(spec), repr(options)
