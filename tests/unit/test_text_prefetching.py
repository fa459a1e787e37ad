"""The next window is prepared in another thread while the consumer works on this one."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from pytest_lmeval.backends.text.prefetching import prefetched


def test_the_next_window_is_prepared_meanwhile() -> None:
    started = [threading.Event() for _ in range(3)]

    def prepare(number: int) -> str:
        started[number].set()
        return f"{number} prepared"

    for number, prepared in prefetched(iter(range(3)), prepare):
        assert prepared == f"{number} prepared"
        # While this window is being worked on; nothing of ours calls for the next one.
        assert all(event.wait(timeout=30) for event in started[: number + 2])


def test_windows_are_pulled_by_the_consumers_thread_one_ahead() -> None:
    pulled: list[int] = []
    threads: set[threading.Thread] = set()

    def windows() -> Iterator[int]:
        for number in range(4):
            pulled.append(number)
            threads.add(threading.current_thread())
            yield number

    seen = [(number, list(pulled)) for number, _ in prefetched(windows(), str)]
    assert seen == [(0, [0, 1]), (1, [0, 1, 2]), (2, [0, 1, 2, 3]), (3, [0, 1, 2, 3])]
    assert threads == {threading.current_thread()}


def test_what_preparing_raises_reaches_the_consumer_at_its_window() -> None:
    def prepare(number: int) -> int:
        return 1 // (1 - number)

    stream = prefetched(iter(range(3)), prepare)
    assert next(stream) == (0, 1)
    with pytest.raises(ZeroDivisionError):
        next(stream)


def test_no_windows() -> None:
    assert list(prefetched(iter(()), str)) == []
