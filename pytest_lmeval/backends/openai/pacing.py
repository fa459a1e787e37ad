"""How many calls are under way, and how many may begin in a minute. Lives in one event loop.

The number of calls under way follows the server: it grows while calls succeed and is halved where the server says that
it has too many, or does not answer in time (additive increase, multiplicative decrease, as in TCP).
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

Clock = Callable[[], float]

# Calls under way at first; doubled with each round of answers until the server has enough.
START = 8

_SECONDS_PER_MINUTE = 60.0


class Gate:
    """Lets ``limit`` calls through at a time, ``most`` at the most. ``limit`` may be read from other threads."""

    def __init__(self, most: int, clock: Clock = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._limit = float(min(START, most))
        self._under_way = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._doubling = True
        self._halved = -1.0
        self._closed_until = 0.0

    @property
    def limit(self) -> int:
        """Calls that may be under way."""
        return int(self._limit)

    async def enter(self) -> float:
        """Wait for a place and return when it was got, which is what :meth:`leave` and :meth:`overloaded` take."""
        while (pause := self._closed_until - self._clock()) > 0:
            await asyncio.sleep(pause)
        while self._under_way >= self.limit:
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                # The place may have been given to this call just before.
                self._wake()
                raise
        self._under_way += 1
        return self._clock()

    def leave(self) -> None:
        """Give the place back."""
        self._under_way -= 1
        self._wake()

    def succeeded(self) -> None:
        """Count an answer. The limit grows only where half of it is used: else nothing is known about a higher one."""
        if 2 * self._under_way >= self.limit:
            self._limit = min(self._most, self._limit + (1.0 if self._doubling else 1.0 / self._limit))

    def overloaded(self, entered: float, pause: float = 0.0) -> None:
        """Halve the limit because of a call that ``entered`` then, and let none in for ``pause`` seconds.

        Calls that began before the limit was last halved say nothing about the new one.
        """
        self._closed_until = max(self._closed_until, self._clock() + pause)
        if entered <= self._halved:
            return
        self._halved = self._clock()
        self._doubling = False
        self._limit = max(1.0, self._limit / 2)

    def _wake(self) -> None:
        free = self.limit - self._under_way
        while self._waiting and free > 0:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                free -= 1


class Bucket:
    """At most ``per_minute`` of something, with a second's worth at once.

    What is taken may be more than there is: then those after it wait the longer.
    """

    def __init__(self, per_minute: float, clock: Clock = time.monotonic) -> None:
        self._rate = per_minute / _SECONDS_PER_MINUTE
        self._clock = clock
        self._capacity = max(1.0, self._rate)
        self._level = self._capacity
        self._filled = clock()

    async def take(self, amount: float) -> None:
        """Wait until there is something, and take ``amount``."""
        while (wait := self.wait()) > 0:
            await asyncio.sleep(wait)
        self._level -= amount

    def wait(self) -> float:
        """Seconds until there is something to take."""
        now = self._clock()
        self._level = min(self._capacity, self._level + (now - self._filled) * self._rate)
        self._filled = now
        return max(0.0, (min(1.0, self._capacity) - self._level) / self._rate)

    def correct(self, amount: float) -> None:
        """Take ``amount`` more, or give back where it is negative: what was taken was an estimate."""
        self._level -= amount


class Pace:
    """The two budgets that servers state, each None where it was not given: calls and tokens in a minute."""

    def __init__(self, requests: int | None, tokens: int | None) -> None:
        self._requests = None if requests is None else Bucket(requests)
        self._tokens = None if tokens is None else Bucket(tokens)

    @property
    def counts_tokens(self) -> bool:
        """Whether anyone needs to know how many tokens a call has."""
        return self._tokens is not None

    async def begin(self, tokens: int) -> None:
        """Wait until a call of about so many tokens may begin."""
        if self._requests is not None:
            await self._requests.take(1)
        if self._tokens is not None:
            await self._tokens.take(tokens)

    def end(self, estimated: int, used: int) -> None:
        """Say how many tokens a call really had."""
        if self._tokens is not None:
            self._tokens.correct(used - estimated)
