from __future__ import annotations

import asyncio

import pytest

from pytest_lmeval.backends.openai.pacing import START, Bucket, Gate


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


async def succeed(gate: Gate, rounds: int) -> None:
    for _ in range(rounds):
        count = gate.limit
        for _ in range(count):
            await gate.enter()
        for _ in range(count):
            gate.succeeded()
        for _ in range(count):
            gate.leave()


def test_the_limit_grows_to_the_most_while_calls_succeed() -> None:
    gate = Gate(50)
    asyncio.run(succeed(gate, 1))
    assert START < gate.limit <= 50
    asyncio.run(succeed(gate, 10))
    assert gate.limit == 50


def test_the_limit_is_halved_once_for_what_began_together_and_grows_slowly_afterwards() -> None:
    clock = Clock()
    gate = Gate(START, clock)
    entered = clock()
    clock.now += 1
    for _ in range(START):
        gate.overloaded(entered)
    assert gate.limit == START // 2
    asyncio.run(succeed(gate, 1))
    assert gate.limit <= START // 2 + 1


def test_the_limit_never_falls_below_one() -> None:
    clock = Clock()
    gate = Gate(START, clock)
    for _ in range(10):
        clock.now += 1
        gate.overloaded(clock())
    assert gate.limit == 1


def test_an_idle_gate_learns_nothing() -> None:
    async def one_by_one() -> None:
        for _ in range(100):
            await gate.enter()
            gate.succeeded()
            gate.leave()

    gate = Gate(64)
    asyncio.run(one_by_one())
    assert gate.limit == START


def test_places_are_handed_on() -> None:
    async def crowd() -> int:
        gate, most, inside = Gate(3), 0, 0

        async def visit() -> None:
            nonlocal most, inside
            await gate.enter()
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1
            gate.leave()

        await asyncio.gather(*(visit() for _ in range(50)))
        return most

    assert asyncio.run(crowd()) == 3


def test_a_visitor_who_goes_away_leaves_its_turn_to_others() -> None:
    async def crowd() -> None:
        gate = Gate(1)
        await gate.enter()
        gone, waiting = asyncio.create_task(gate.enter()), asyncio.create_task(gate.enter())
        await asyncio.sleep(0)
        gate.leave()  # the turn of the first, which does not take it
        gone.cancel()
        await asyncio.wait_for(waiting, 30)

    asyncio.run(crowd())


def test_a_bucket_gives_no_more_than_its_rate() -> None:
    clock = Clock()
    bucket = Bucket(60, clock)
    asyncio.run(bucket.take(1))
    assert bucket.wait() == pytest.approx(1.0)
    clock.now += 1
    assert bucket.wait() == 0


def test_what_was_taken_beyond_is_waited_for() -> None:
    clock = Clock()
    bucket = Bucket(6000, clock)
    asyncio.run(bucket.take(300))
    assert bucket.wait() == pytest.approx(2.01)
    bucket.correct(-300)
    assert bucket.wait() == 0
