"""Between tests and the model: one stream of requests per operation, fed across test items.

The job that is waited for is served first; where the backend has room for more, requests of the jobs that follow
fill it. Jobs are built when the stream reaches them, so memory stays bounded. A job that is watched is asked no
further ahead than its answers warrant, and where these are enough it is given up: the rest is never asked. Same jobs,
same stream: deterministic, no threads, no timers.
"""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from pytest_lmeval.backends.protocol import Answer, Backend, Failure, Request
from pytest_lmeval.errors import BackendError, LMEvalError

OPERATIONS = ("loglikelihood", "loglikelihood_rolling", "generate_until")


class Source(Protocol):
    """What a job asks: ``requests`` takes the ids to use and yields the requests one by one."""

    def requests(self, ids: Iterator[int]) -> Iterator[Request]:
        """Yield the requests in a fixed order."""


class Watcher(Protocol):
    """Whoever looks at a job's answers as they come."""

    def ready(self, job: Job) -> bool:
        """Whether another request may be asked now; where nothing is under way it must be so."""

    def answered(self, job: Job) -> int | None:
        """Look at the answers after each; return how many of the first are enough, None where more are needed."""


@dataclass(eq=False)
class Job:
    """One test's requests and the answers to them so far.

    ``open`` builds the source (reads the dataset) when the stream first reaches the job; what it raises is kept
    and raised for whoever waits for this job, not for the test that happened to run at the time. Jobs of
    different ``scope`` never share a batch: under pytest-xdist only a scope is certain to run in this process.
    ``error`` is what building the requests raised, ``cause`` what broke the model while it held some of them.
    ``enough`` says that the answers to so many of the first requests are all that is needed. ``began`` is when the
    first was asked, by the monotonic clock.
    """

    name: str
    operation: str
    open: Callable[[], Source]
    scope: str = ""
    source: Source | None = None
    answers: dict[int, Answer | Failure] = field(default_factory=dict)
    error: Exception | None = None
    cause: Exception | None = None
    watcher: Watcher | None = None
    enough: int | None = None
    started: bool = False
    began: float | None = None
    asked: int = 0
    asked_all: bool = False

    @property
    def done(self) -> bool:
        """Whether every request that need be is answered, or the job cannot be asked."""
        return self.given_up or self.error is not None or (self.asked_all and len(self.answers) == self.asked)

    @property
    def given_up(self) -> bool:
        """Whether no further answer is needed."""
        return self.enough is not None

    @property
    def ready(self) -> bool:
        """Whether another request may be asked now."""
        return self.watcher is None or self.watcher.ready(self)

    def requests(self, ids: Iterator[int]) -> Iterator[Request]:
        """Yield the requests, opening the source first; an error ends the job, not the stream."""
        self.started, self.began = True, time.monotonic()
        try:
            self.prepare()
            assert self.source is not None
            yield from self.source.requests(ids)
        except Exception as error:  # noqa: BLE001 - kept, and raised where the job is waited for
            self.error = error
        self.asked_all = True

    def prepare(self) -> None:
        """Build the source now; used to find mistakes in a task before a large model is loaded."""
        if self.error is not None:
            raise self.error
        if self.source is None:
            self.source = self.open()


Observer = Callable[[Job, "Answer | Failure"], None]


class Broker:
    """Hands requests to the backend and answers to the jobs they belong to."""

    def __init__(self, backend: Backend, *, observe: Observer = lambda job, answer: None) -> None:
        self._observe = observe
        ids = itertools.count()
        self._channels = {name: _Channel(getattr(backend, name), ids, observe) for name in OPERATIONS}

    def plan(self, jobs: Sequence[Job]) -> None:
        """Announce the jobs that will follow, in order; they fill free room before their turn comes."""
        for job in jobs:
            self._channels[job.operation].waiting.append(job)

    def answers(self, job: Job) -> list[Answer | Failure]:
        """Run the model until every request of ``job`` is answered or has failed; return that in request order.

        Of a job that was given up these are the answers that are enough. Raises what went wrong while the job's
        requests were built, and BackendError where the model takes none.
        """
        self._channels[job.operation].run(job)
        if job.error is not None:
            raise job.error
        return [job.answers[position] for position in range(job.asked if job.enough is None else job.enough)]


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request the backend holds, and where its answer belongs."""

    job: Job
    position: int
    request: Request


class _Channel:
    """One operation's stream. ``waiting`` are the jobs not yet started, in order."""

    def __init__(self, operation: Callable[[Any], Iterator[Any]], ids: Iterator[int], observe: Observer) -> None:
        self._operation = operation
        self._ids = ids
        self._observe = observe
        self._held: dict[int, _Asked] = {}
        self._again: deque[_Asked] = deque()
        self._feeding: list[tuple[Job, Iterator[Request]]] = []
        self._stream: Iterator[Answer | Failure] | None = None
        self._current: Job | None = None
        self._alone = False
        self._taken = 0
        self.waiting: list[Job] = []

    def run(self, job: Job) -> None:
        self._current, self._alone = job, False
        if not job.started:
            self._start(job, first=True)
        while not job.done:
            self._advance()

    def _start(self, job: Job, *, first: bool = False) -> None:
        if job in self.waiting:
            self.waiting.remove(job)
        job.started = True
        self._feeding.insert(0 if first else len(self._feeding), (job, job.requests(self._ids)))

    def _advance(self) -> None:
        """Take one answer; open the stream where there is none."""
        try:
            if self._stream is None:
                self._taken = 0
                self._stream = iter(self._operation(self._feed()))
            answer = next(self._stream)
        except StopIteration:
            self._end("the backend ended its stream without an answer")
        except Exception as error:  # noqa: BLE001 - an engine may raise anything; what it held has failed
            self._end(str(error) if isinstance(error, LMEvalError) else f"{type(error).__name__}: {error}", error)
        else:
            self._settle(answer)

    def _feed(self) -> Iterator[Request]:
        while asked := self._next():
            self._held[asked.request.id] = asked
            self._taken += 1
            yield asked.request

    def _next(self) -> _Asked | None:
        again = next((asked for asked in self._again if self._may_ask(asked.job)), None)
        if again is not None:
            self._again.remove(again)
            return again
        while feeding := self._ready() or self._look_ahead():
            job, requests = feeding
            request = next(requests, None)
            if request is not None:
                job.asked += 1
                return _Asked(job, job.asked - 1, request)
            self._feeding.remove(feeding)
        return None

    def _ready(self) -> tuple[Job, Iterator[Request]] | None:
        return next((pair for pair in self._feeding if self._may_ask(pair[0]) and pair[0].ready), None)

    def _may_ask(self, job: Job) -> bool:
        return not self._alone or job is self._current

    def _look_ahead(self) -> tuple[Job, Iterator[Request]] | None:
        scope = self._current.scope if self._current else ""
        following = next((job for job in self.waiting if job.scope == scope), None)
        if following is None or self._alone:
            return None
        self._start(following)
        return self._feeding[-1]

    def _settle(self, answer: Answer | Failure) -> None:
        asked = self._held.pop(answer.id, None)
        if asked is None:
            raise BackendError(f"the backend answered request {answer.id} twice, or was never asked it")
        job = asked.job
        if job.given_up:
            self._drop_unwanted()
            return
        job.answers[asked.position] = answer
        self._observe(job, answer)
        if job.watcher is not None and (enough := job.watcher.answered(job)) is not None:
            self._give_up(job, enough)

    def _give_up(self, job: Job, enough: int) -> None:
        """Ask nothing more of a job, nor wait for what is under way."""
        job.enough = enough
        self._feeding = [pair for pair in self._feeding if pair[0] is not job]
        self._again = deque(asked for asked in self._again if asked.job is not job)
        self._drop_unwanted()

    def _drop_unwanted(self) -> None:
        """Close a stream that holds nothing but requests of jobs given up.

        Where it holds others', or cannot be closed, it goes on, and the answers that nobody wants are ignored.
        """
        close = getattr(self._stream, "close", None)
        if close is None or not all(asked.job.given_up for asked in self._held.values()):
            return
        self._stream = None
        self._held.clear()
        # An engine may raise anything. What it held is not wanted, and if it is broken its next stream says so.
        with suppress(Exception):
            close()

    def _end(self, reason: str, cause: Exception | None = None) -> None:
        """Forget the stream, and let no test suffer for a request of another.

        Where it held requests of several jobs, all are asked again, those of the current job now and alone. Where
        it held only the current job's, these have failed for ``reason``. Raises BackendError where the stream took
        nothing although there was something: another one would not either.
        """
        self._stream = None
        held = [asked for asked in self._held.values() if not asked.job.given_up]
        self._held.clear()
        if any(asked.job is not self._current for asked in held) and not self._alone:
            self._alone = True
            self._again.extend(held)
            return
        for asked in held:
            asked.job.cause = cause
            self._held[asked.request.id] = asked
            self._settle(Failure(id=asked.request.id, error=reason))
        if (self._feeding or self._again) and not self._taken:
            told = reason if isinstance(cause, LMEvalError) else f"{reason}; it took no request"
            raise BackendError(told) from cause
