"""Between a job and what says when its answers are enough: whole documents, in the order in which they are asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from pytest_lmeval.broker import Job
from pytest_lmeval.results import ItemResult
from pytest_lmeval.running_score import RunningScore
from pytest_lmeval.tasks.evaluation import Evaluation

#: Documents that are asked before anything is known of the model.
FIRST_DOCUMENTS = 64

#: For each document that is answered so many more may have been asked. Backends pull far ahead, so that their batches
#: are full: with nothing to hold them a model that is garbage would be asked thousands of documents before the first
#: answer is looked at.
AHEAD = 2


class Monitor(Protocol):
    """Is told each document; what it returns as text is why no further one is needed.

    ``compares`` says that it infers from the first documents to all, for which they must come in random order.
    """

    @property
    def compares(self) -> bool:
        """Whether documents must be asked in random order."""

    def tell(self, item: ItemResult) -> object | None:
        """Take the next document; None where more are needed."""


#: Makes the monitor of a task that is ready to run, None for one that is not to be watched.
Watch = Callable[[Evaluation], Monitor | None]


class DocumentWatcher:
    """Tells a monitor of the documents of one task, each once and in the order of asking.

    Documents that are answered early wait for those before them: what takes long may be answered worse, and the first
    documents must stand for all.
    """

    def __init__(self, evaluation: Evaluation, monitor: Monitor, named: Callable[[ItemResult], ItemResult]) -> None:
        """``named`` gives an item's metrics the names that they have in results."""
        self.reason: str | None = None
        #: Over the documents that the monitor was told of.
        self.score = RunningScore(tuple(evaluation.spec.gate or ()))
        self._evaluation = evaluation
        self._monitor = monitor
        self._named = named
        self._told = 0
        self._answered = 0

    def ready(self, job: Job) -> bool:
        """Whether another request may be asked: always the rest of a document, a new one not too far ahead."""
        ends = self._evaluation.ends
        if not ends or job.asked < ends[-1]:
            return True
        answered = len(ends) * len(job.answers) / job.asked
        return len(ends) < FIRST_DOCUMENTS + AHEAD * answered

    def answered(self, job: Job) -> int | None:
        """Tell the monitor what is complete; return how many requests are enough, None where more are needed."""
        ends = self._evaluation.ends
        while self._told < len(ends) and self._is_complete(job, ends[self._told]):
            if self._is_enough(job, ends[self._told]):
                return ends[self._told - 1]
        return None

    def _is_complete(self, job: Job, end: int) -> bool:
        while self._answered < end and self._answered in job.answers:
            self._answered += 1
        return self._answered == end

    def _is_enough(self, job: Job, end: int) -> bool:
        start = self._evaluation.ends[self._told - 1] if self._told else 0
        answers = [job.answers[position] for position in range(start, end)]
        try:
            item = self._evaluation.item(self._told, answers)
        except Exception as error:  # noqa: BLE001 - a task's own functions; raised where the job is waited for
            job.error = error
            self._told += 1
            return True
        self._told += 1
        named = self._named(item)
        self.score.add(named.scores)
        stop = self._monitor.tell(named)
        # After the last document nothing is left to stop: what the monitor found is then only its finding.
        if stop is not None and self._told < self._evaluation.selected:
            self.reason = str(stop)
        return self.reason is not None
