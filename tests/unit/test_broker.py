from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import pytest

from pytest_lmeval.backends.fake import FakeBackend
from pytest_lmeval.backends.protocol import (
    Answer,
    Failure,
    LoglikelihoodAnswer,
    LoglikelihoodRequest,
    ModelInfo,
    Request,
)
from pytest_lmeval.broker import Broker, Job
from pytest_lmeval.errors import BackendError, TaskFileError
from pytest_lmeval.unanswered import all_answered

Requests = Iterator[LoglikelihoodRequest]
Answers = Iterator[LoglikelihoodAnswer | Failure]


def answered(request: LoglikelihoodRequest) -> LoglikelihoodAnswer:
    return LoglikelihoodAnswer(
        id=request.id, logprob=float(str(request.context).split("-")[1]), is_greedy=True, tokens=1
    )


class Model:
    """Answers windows of ``window`` requests, last first; ``misbehave`` sees each window before it is answered."""

    info = ModelInfo(backend="model", name="m")

    def __init__(
        self, window: int = 4, misbehave: Callable[[list[LoglikelihoodRequest]], Answers | None] = lambda window: None
    ) -> None:
        self.window = window
        self.misbehave = misbehave
        self.windows: list[list[str]] = []

    def loglikelihood(self, requests: Requests) -> Answers:
        while window := list(islice(requests, self.window)):
            self.windows.append([str(request.context) for request in window])
            yield from self.misbehave(window) or (answered(request) for request in reversed(window))

    def loglikelihood_rolling(self, requests: object) -> Iterator[Failure]:
        raise NotImplementedError

    def generate_until(self, requests: object) -> Iterator[Failure]:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError


@dataclass
class Asking:
    """Requests ``name-0`` … ``name-(count-1)``; ``fail_at`` raises where that one would be."""

    name: str
    count: int
    fail_at: int | None = None
    built: list[int] = field(default_factory=list)

    def requests(self, ids: Iterator[int]) -> Iterator[Request]:
        for i in range(self.count):
            if i == self.fail_at:
                raise ValueError(f"{self.name} cannot ask {i}")
            self.built.append(i)
            yield LoglikelihoodRequest(id=next(ids), context=f"{self.name}-{i}", continuation="")


def job(name: str, count: int = 2, *, scope: str = "", fail_at: int | None = None) -> Job:
    return Job(name=name, operation="loglikelihood", open=lambda: Asking(name, count, fail_at), scope=scope)


def ask(broker: Broker, job: Job) -> list[Answer]:
    """Run a job that needs every answer, as a free-form test's does."""
    return all_answered(job.name, broker.answers(job), job.cause)


def values(answers: Sequence[Answer | Failure]) -> list[float]:
    return [answer.logprob for answer in answers if isinstance(answer, LoglikelihoodAnswer)]


def test_answers_come_back_in_the_order_of_the_requests() -> None:
    model = Model(window=3)
    assert values(Broker(model).answers(job("a", 7))) == list(map(float, range(7)))
    assert model.windows == [["a-0", "a-1", "a-2"], ["a-3", "a-4", "a-5"], ["a-6"]]


def test_free_room_is_filled_from_the_jobs_that_follow_in_their_order() -> None:
    model = Model(window=4)
    broker = Broker(model)
    jobs = [job("a", 3), job("b", 2), job("c", 5), job("d", 1)]
    broker.plan(jobs)
    assert values(broker.answers(jobs[0])) == [0, 1, 2]
    assert model.windows == [["a-0", "a-1", "a-2", "b-0"]]
    # No more was built than the window needed, and what was answered on the way is not asked again.
    assert jobs[2].source is None
    for following in jobs[1:]:
        assert values(broker.answers(following)) == list(range(following.asked))
    assert model.windows == [
        ["a-0", "a-1", "a-2", "b-0"],
        ["b-1", "c-0", "c-1", "c-2"],
        ["c-3", "c-4", "d-0"],
    ]


def test_the_job_that_runs_is_served_before_what_was_begun_ahead() -> None:
    model = Model(window=2)
    broker = Broker(model)
    jobs = [job("a", 1), job("ahead", 3)]
    broker.plan(jobs)
    broker.answers(jobs[0])
    assert values(broker.answers(job("now", 3))) == [0, 1, 2]
    assert values(broker.answers(jobs[1])) == [0, 1, 2]
    assert model.windows == [["a-0", "ahead-0"], ["now-0", "now-1"], ["now-2", "ahead-1"], ["ahead-2"]]


def test_scopes_are_never_mixed() -> None:
    model = Model(window=8)
    broker = Broker(model)
    jobs = [job("a", 1, scope="x"), job("b", 1, scope="y"), job("c", 1, scope="x"), job("d", 1, scope="y")]
    broker.plan(jobs)
    for each in jobs:
        broker.answers(each)
    assert model.windows == [["a-0", "c-0"], ["b-0", "d-0"]]


def test_operations_do_not_share_a_stream() -> None:
    backend = FakeBackend()
    broker = Broker(backend)
    other = Job(name="g", operation="generate_until", open=lambda: Asking("g", 1))
    first = job("a", 1)
    broker.plan([first, other])
    broker.answers(first)
    assert other.source is None


def test_same_jobs_same_stream() -> None:
    def stream() -> list[list[str]]:
        model = Model(window=3)
        broker = Broker(model)
        jobs = [job(name, count) for name, count in (("a", 4), ("b", 1), ("c", 3))]
        broker.plan(jobs)
        for each in (jobs[0], jobs[2], jobs[1]):
            broker.answers(each)
        return model.windows

    assert stream() == stream()


def failing(*contexts: str) -> Callable[[list[LoglikelihoodRequest]], Answers | None]:
    def misbehave(window: list[LoglikelihoodRequest]) -> Answers:
        for request in window:
            if request.context in contexts:
                yield Failure(id=request.id, error=f"too long: {request.context}")
            else:
                yield answered(request)

    return misbehave


def test_refused_and_filtered_answers_are_counted_apart() -> None:
    kinds: list[Any] = ["error", "refused", "filtered", "refused"]

    def refuse(window: list[LoglikelihoodRequest]) -> Answers:
        return (Failure(id=r.id, error="no", kind=kind) for r, kind in zip(window, kinds, strict=True))

    with pytest.raises(BackendError) as caught:
        ask(Broker(Model(misbehave=refuse)), job("a", 4))
    told = "a: 4 of 4 requests were not answered (2 refused by the model, 1 filtered by its provider):\n  no"
    assert str(caught.value) == told


def test_a_failure_is_that_of_its_job_alone() -> None:
    broker = Broker(Model(window=8, misbehave=failing("a-1", "a-3", "c-0")))
    jobs = [job("a", 4), job("b", 2), job("c", 1)]
    broker.plan(jobs)
    with pytest.raises(BackendError) as caught:
        ask(broker, jobs[0])
    assert str(caught.value) == "a: 2 of 4 requests were not answered:\n  too long: a-1\n  too long: a-3"
    assert values(broker.answers(jobs[1])) == [0, 1]
    with pytest.raises(BackendError, match="c: 1 of 1 requests were not answered"):
        ask(broker, jobs[2])


def test_failures_stand_where_their_requests_did() -> None:
    one = job("a", 4)
    answers = Broker(Model(window=8, misbehave=failing("a-1", "a-3"))).answers(one)
    assert [getattr(answer, "error", None) for answer in answers] == [None, "too long: a-1", None, "too long: a-3"]
    assert values(answers) == [0, 2]


def test_many_reasons_are_cut_and_equal_ones_told_once() -> None:
    broker = Broker(Model(window=8, misbehave=failing(*(f"a-{i}" for i in range(5)))))
    with pytest.raises(BackendError, match=r"(?s)5 of 6 .*a-0\n.*a-1\n.*a-2\n  … and 2 other reasons$"):
        ask(broker, job("a", 6))

    def same(window: list[LoglikelihoodRequest]) -> Answers:
        yield from (Failure(id=request.id, error="out of memory") for request in window)

    with pytest.raises(BackendError, match=r"not answered:\n  out of memory$"):
        ask(Broker(Model(misbehave=same)), job("a", 3))


def test_an_exception_fails_what_was_in_flight_of_the_current_job_alone() -> None:
    def break_once(window: list[LoglikelihoodRequest]) -> Answers | None:
        if window[0].context == "a-2":
            raise RuntimeError("CUDA out of memory")
        return None

    model = Model(window=2, misbehave=break_once)
    broker = Broker(model)
    jobs = [job("a", 3), job("b", 3)]
    broker.plan(jobs)
    with pytest.raises(BackendError, match="a: 1 of 3 requests were not answered:\n  RuntimeError: CUDA") as caught:
        ask(broker, jobs[0])
    assert isinstance(caught.value.__cause__, RuntimeError)
    # The first of b was in the broken window: asked again, for it may not have been what broke the engine.
    assert values(broker.answers(jobs[1])) == [0, 1, 2]
    assert model.windows == [["a-0", "a-1"], ["a-2", "b-0"], ["a-2"], ["b-0", "b-1"], ["b-2"]]
    assert values(broker.answers(job("c", 3))) == [0, 1, 2]


def test_a_request_that_always_breaks_the_engine_fails_its_own_job_and_ends() -> None:
    def break_on_b(window: list[LoglikelihoodRequest]) -> Answers | None:
        if any(request.context == "b-0" for request in window):
            raise RuntimeError("illegal memory access")
        return None

    broker = Broker(Model(window=3, misbehave=break_on_b))
    jobs = [job("a", 2), job("b", 3), job("c", 2)]
    broker.plan(jobs)
    assert values(broker.answers(jobs[0])) == [0, 1]
    with pytest.raises(BackendError, match="b: 3 of 3 requests"):
        ask(broker, jobs[1])
    assert values(broker.answers(jobs[2])) == [0, 1]


def test_what_fails_while_a_job_ahead_is_built_is_raised_for_that_job() -> None:
    model = Model(window=8)
    broker = Broker(model)

    def missing() -> Asking:
        raise TaskFileError("b.yaml", 3, "no rows")

    jobs = [job("a"), Job(name="b", operation="loglikelihood", open=missing), job("c", 3, fail_at=1), job("d")]
    broker.plan(jobs)
    assert values(broker.answers(jobs[0])) == [0, 1]
    assert model.windows == [["a-0", "a-1", "c-0", "d-0", "d-1"]]
    with pytest.raises(TaskFileError, match=r"b\.yaml:3: no rows"):
        broker.answers(jobs[1])
    with pytest.raises(ValueError, match="c cannot ask 1"):
        broker.answers(jobs[2])
    assert values(broker.answers(jobs[3])) == [0, 1]


def test_what_fails_while_the_current_job_is_built() -> None:
    broker = Broker(Model(window=8))
    current, following = job("a", 5, fail_at=2), job("b", 3)
    broker.plan([current, following])
    with pytest.raises(ValueError, match="a cannot ask 2"):
        broker.answers(current)
    assert values(broker.answers(following)) == [0, 1, 2]


def test_a_job_without_requests() -> None:
    assert ask(Broker(Model()), job("a", 0)) == []
    broker = Broker(Model())
    jobs = [job("a", 0), job("b", 1)]
    broker.plan(jobs)
    assert broker.answers(jobs[0]) == []
    assert values(broker.answers(jobs[1])) == [0]


def twice(window: list[LoglikelihoodRequest]) -> Answers:
    for request in window:
        yield answered(request)
        yield answered(request)


def unknown(window: list[LoglikelihoodRequest]) -> Answers:
    yield LoglikelihoodAnswer(id=999, logprob=0.0, is_greedy=True, tokens=1)


@pytest.mark.parametrize(("misbehave", "name"), [(twice, 0), (unknown, 999)])
def test_an_answer_that_nobody_waits_for(misbehave: Callable[[list[LoglikelihoodRequest]], Answers], name: int) -> None:
    with pytest.raises(BackendError, match=f"the backend answered request {name} twice, or was never asked it"):
        ask(Broker(Model(window=2, misbehave=misbehave)), job("a", 2))


class Lazy(Model):
    """Ends its stream early: ``takes`` requests taken, ``yields`` of them answered."""

    def __init__(self, takes: int, yields: int) -> None:
        super().__init__()
        self.takes, self.yields = takes, yields
        self.opened = 0

    def loglikelihood(self, requests: Requests) -> Answers:
        self.opened += 1
        taken = list(islice(requests, self.takes))
        yield from map(answered, taken[: self.yields])


def test_a_stream_that_ends_without_answers_fails_what_it_took() -> None:
    with pytest.raises(BackendError, match=r"a: 4 of 4 .*\n  the backend ended its stream without an answer"):
        ask(Broker(Lazy(2, 0)), job("a", 4))


def test_a_stream_that_ends_early_is_opened_again() -> None:
    model = Lazy(2, 2)
    assert values(Broker(model).answers(job("a", 5))) == [0, 1, 2, 3, 4]
    assert model.opened == 3


def test_a_backend_that_takes_nothing_is_not_asked_for_ever() -> None:
    model = Lazy(0, 0)
    with pytest.raises(BackendError, match="the backend ended its stream without an answer; it took no request"):
        Broker(model).answers(job("a", 2))
    assert model.opened == 1


class Broken(Model):
    """Fails before it takes a request: at the call, or at the first answer."""

    def __init__(self, error: Exception, *, at_the_call: bool) -> None:
        super().__init__()
        self.error, self.at_the_call, self.opened = error, at_the_call, 0

    def loglikelihood(self, requests: Requests) -> Answers:
        self.opened += 1
        assert self.opened < 5, "asked for ever"
        if self.at_the_call:
            raise self.error
        return self._stream()

    def _stream(self) -> Answers:
        raise self.error
        yield


@pytest.mark.parametrize("at_the_call", [True, False])
@pytest.mark.parametrize(
    ("error", "message"),
    [
        (RuntimeError("no device"), "RuntimeError: no device; it took no request"),
        (BackendError("server gone"), "server gone"),
    ],
    ids=["engine", "own"],
)
def test_a_backend_that_fails_at_once_is_not_asked_for_ever(error: Exception, message: str, at_the_call: bool) -> None:
    model = Broken(error, at_the_call=at_the_call)
    with pytest.raises(BackendError) as caught:
        Broker(model).answers(job("a", 2))
    assert str(caught.value) == message
    assert caught.value.__cause__ is error
    assert model.opened == 1


def test_requests_are_built_as_they_are_pulled() -> None:
    source = Asking("a", 100)
    seen: list[int] = []

    def misbehave(window: list[LoglikelihoodRequest]) -> None:
        seen.append(len(source.built))

    broker = Broker(Model(window=10, misbehave=misbehave))
    broker.answers(Job(name="a", operation="loglikelihood", open=lambda: source))
    assert seen == list(range(10, 101, 10))


def test_each_answer_is_observed_once_with_its_job() -> None:
    observed: list[tuple[str, int]] = []
    broker = Broker(
        Model(window=3, misbehave=failing("b-0")), observe=lambda job, answer: observed.append((job.name, answer.id))
    )
    jobs = [job("a", 2), job("b", 2)]
    broker.plan(jobs)
    broker.answers(jobs[0])
    with pytest.raises(BackendError):
        ask(broker, jobs[1])
    assert sorted(observed) == [("a", 0), ("a", 1), ("b", 2), ("b", 3)]


def test_asked_again_a_job_is_not_asked_again() -> None:
    model = Model()
    broker = Broker(model)
    one = job("a", 2)
    assert broker.answers(one) == broker.answers(one)
    assert model.windows == [["a-0", "a-1"]]


def test_preparing_a_job_builds_it_once_and_keeps_its_error() -> None:
    opened: list[int] = []

    def build() -> Asking:
        opened.append(1)
        return Asking("a", 1)

    one = Job(name="a", operation="loglikelihood", open=build)
    one.prepare()
    one.prepare()
    assert values(Broker(Model()).answers(one)) == [0]
    assert opened == [1]
    broken = job("b", 2, fail_at=0)
    with pytest.raises(ValueError, match="cannot ask"):
        Broker(Model()).answers(broken)
    with pytest.raises(ValueError, match="cannot ask"):
        broken.prepare()
