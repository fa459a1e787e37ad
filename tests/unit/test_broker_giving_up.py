"""Jobs that are watched: asked no further ahead than they may be, and given up where their answers are enough."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from pytest_lmeval.backends.protocol import Failure, LoglikelihoodRequest
from pytest_lmeval.broker import Broker, Job

from .test_broker import Answers, Model, Requests, answered, job, values


@dataclass
class Counting:
    """Lets ``ahead`` requests be asked before their answers; ``enough`` says how many answers are enough."""

    ahead: int = 10**6
    enough: int = 10**6

    def ready(self, job: Job) -> bool:
        return job.asked < self.ahead + len(job.answers)

    def answered(self, job: Job) -> int | None:
        first = next(at for at in range(job.asked + 1) if at not in job.answers)
        return self.enough if first >= self.enough else None


def watched(name: str, count: int, watcher: Counting) -> Job:
    one = job(name, count)
    one.watcher = watcher
    return one


def asked(model: Model, name: str) -> int:
    return sum(context.startswith(f"{name}-") for window in model.windows for context in window)


def test_a_watched_job_is_asked_all_where_nobody_ends_it() -> None:
    for ahead in (1, 3, 100):
        model = Model(window=4)
        assert values(Broker(model).answers(watched("a", 10, Counting(ahead)))) == list(map(float, range(10)))
        assert asked(model, "a") == 10


def test_no_more_is_asked_ahead_than_may_be() -> None:
    model = Model(window=100)
    Broker(model).answers(watched("a", 10, Counting(ahead=4)))
    assert [len(window) for window in model.windows] == [4, 4, 2]


def test_what_may_not_be_asked_yet_leaves_room_for_those_that_follow() -> None:
    model = Model(window=6)
    broker = Broker(model)
    jobs = [watched("a", 8, Counting(ahead=4)), watched("b", 5, Counting(ahead=1)), job("c", 3)]
    broker.plan(jobs)
    assert values(broker.answers(jobs[0])) == list(range(8))
    assert model.windows[0] == ["a-0", "a-1", "a-2", "a-3", "b-0", "c-0"]
    for following in jobs[1:]:
        assert values(broker.answers(following)) == list(range(following.asked))
    # Nothing was asked twice.
    assert sum(map(len, model.windows)) == 16


def test_a_job_that_has_enough_is_not_asked_the_rest() -> None:
    model = Model(window=4)
    broker = Broker(model)
    one = watched("a", 1000, Counting(enough=3))
    assert values(broker.answers(one)) == [0, 1, 2]
    assert asked(model, "a") == 4
    assert one.done
    # Asked again it is what it was.
    assert values(broker.answers(one)) == [0, 1, 2]
    assert asked(model, "a") == 4


class Closing(Model):
    """Notes when a stream of it is closed before its end; ``error`` is what that raises."""

    def __init__(self, window: int, error: Exception | None = None) -> None:
        super().__init__(window)
        self.closed = 0
        self.error = error

    def loglikelihood(self, requests: Requests) -> Answers:
        try:
            yield from super().loglikelihood(requests)
        except GeneratorExit:
            self.closed += 1
            if self.error is not None:
                raise self.error from None
            raise


@pytest.mark.parametrize("error", [None, RuntimeError("cannot abort")])
def test_what_is_under_way_of_a_job_given_up_is_dropped(error: Exception | None) -> None:
    model = Closing(window=8, error=error)
    broker = Broker(model)
    jobs = [watched("a", 100, Counting(enough=1)), job("b", 3)]
    assert values(broker.answers(jobs[0])) == [0]
    assert model.closed == 1
    assert values(broker.answers(jobs[1])) == [0, 1, 2]
    assert (asked(model, "a"), asked(model, "b")) == (8, 3)


def test_a_job_given_up_hurts_no_other() -> None:
    model = Closing(window=8)
    broker = Broker(model)
    jobs = [watched("a", 100, Counting(ahead=4, enough=2)), watched("b", 100, Counting(ahead=4, enough=2)), job("c", 9)]
    broker.plan(jobs)
    assert values(broker.answers(jobs[0])) == [0, 1]
    assert values(broker.answers(jobs[2])) == list(range(9))
    assert values(broker.answers(jobs[1])) == [0, 1]
    # The stream was shared, so it went on while somebody's answers were to come from it.
    assert model.windows[0] == ["a-0", "a-1", "a-2", "a-3", "b-0", "b-1", "b-2", "b-3"]
    assert asked(model, "c") == 9


def test_a_stream_that_holds_only_what_nobody_wants_is_dropped() -> None:
    class InOrder(Closing):
        def __init__(self) -> None:
            super().__init__(window=8, error=None)
            self.misbehave = lambda window: map(answered, window)

    model = InOrder()
    broker = Broker(model)
    jobs = [watched("a", 100, Counting(ahead=4, enough=2)), watched("b", 100, Counting(ahead=4, enough=2))]
    broker.plan(jobs)
    assert values(broker.answers(jobs[0])) == [0, 1]
    assert model.closed == 0
    assert values(broker.answers(jobs[1])) == [0, 1]
    # b-2 and b-3 are nobody's any more.
    assert model.closed == 1


def test_a_stream_that_cannot_be_closed_goes_on_and_its_answers_are_ignored() -> None:
    class Plain(Model):
        def loglikelihood(self, requests: Requests) -> Answers:
            return iter(map(answered, requests))

    broker = Broker(Plain())
    assert values(broker.answers(watched("a", 9, Counting(enough=2)))) == [0, 1]
    assert values(broker.answers(job("b", 3))) == [0, 1, 2]


def test_what_was_given_up_is_not_asked_again_after_the_engine_broke() -> None:
    broken: list[int] = []

    def break_once(window: list[LoglikelihoodRequest]) -> Answers:
        for request in window:
            if request.context == "b-1" and not broken:
                broken.append(1)
                raise RuntimeError("illegal memory access")
            yield answered(request)

    model = Model(window=6, misbehave=break_once)
    broker = Broker(model)
    jobs = [watched("a", 3, Counting(enough=1)), job("b", 3), job("c", 1)]
    broker.plan(jobs)
    assert values(broker.answers(jobs[0])) == [0]
    # The stream, which held a-1 and a-2 too, breaks while c is waited for.
    assert values(broker.answers(jobs[2])) == [0]
    assert values(broker.answers(jobs[1])) == [0, 1, 2]
    assert (asked(model, "a"), asked(model, "b"), broken) == (3, 5, [1])


def test_failures_are_told_to_who_watches() -> None:
    def fail(window: list[LoglikelihoodRequest]) -> Answers:
        return (Failure(id=request.id, error="too long") for request in window)

    model = Model(window=2, misbehave=fail)
    found = Broker(model).answers(watched("a", 100, Counting(enough=2)))
    assert [isinstance(answer, Failure) for answer in found] == [True, True]
    assert asked(model, "a") == 2


def test_an_engine_that_breaks_with_a_job_that_then_has_enough() -> None:
    def break_always(window: list[LoglikelihoodRequest]) -> Answers | None:
        raise RuntimeError("no memory")

    model = Model(window=4, misbehave=break_always)
    found = Broker(model).answers(watched("a", 100, Counting(enough=2)))
    assert [isinstance(answer, Failure) for answer in found] == [True, True]
    assert asked(model, "a") == 4


def test_the_answers_are_those_of_a_run_without_watching() -> None:
    for window in (1, 3, 50):
        broker = Broker(Model(window))
        jobs = [watched("a", 7, Counting(ahead=2)), watched("b", 6, Counting(ahead=3)), job("c", 5)]
        broker.plan(jobs)
        assert [values(broker.answers(one)) for one in jobs] == [list(map(float, range(n))) for n in (7, 6, 5)]
