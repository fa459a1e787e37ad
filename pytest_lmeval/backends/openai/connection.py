"""One server: calls from the caller's thread run in an event loop of a thread of their own.

Replies are plain values as JSON has them: the ``openai`` client's own models cost more than the call.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

from openai import AsyncOpenAI, DefaultAioHttpClient, OpenAIError, Timeout

from pytest_lmeval.backends.openai.accounting import Accounts, estimated_tokens
from pytest_lmeval.backends.openai.pacing import Gate, Pace
from pytest_lmeval.backends.openai.retrying import CallFailed, Explaining, Trouble, delay
from pytest_lmeval.backends.protocol import Usage
from pytest_lmeval.errors import BackendError

__all__ = ["CallFailed", "Connection", "Link"]

# How often calls are tried again where ``max_retries`` does not say less; set it inside a call.
patience: ContextVar[int] = ContextVar("patience", default=1_000_000)

K = TypeVar("K")
R = TypeVar("R")

# After so many calls in a row that were tried in vain, the others are tried once each: the server is gone.
GONE = 3

# Seconds until a server takes a connection.
CONNECT_TIMEOUT = 30.0

# Seconds that the end of calls under way may take.
_ENDING = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """Where a server is and how it wants to be called. ``timeout`` is in seconds, the limits are per minute.

    ``key_name`` is the environment variable that ``key`` came from.
    """

    base_url: str
    key: str
    key_name: str = "OPENAI_API_KEY"
    timeout: float = 600.0
    max_retries: int = 5
    max_connections: int = 64
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None

    def __repr__(self) -> str:
        """Without the key."""
        return f"Link({self.base_url!r})"


class Connection:
    """Calls one server. Any thread may use it, and several streams of calls may be open at once."""

    def __init__(self, link: Link) -> None:
        self.base_url = link.base_url.rstrip("/")
        self._link = link
        self._explaining = Explaining(secret=link.key, key_name=link.key_name, timeout=link.timeout)
        self._accounts = Accounts()
        self._gate = Gate(link.max_connections)
        self._pace = Pace(link.requests_per_minute, link.tokens_per_minute)
        self._draw = random.Random()  # not the run's: waits are no results
        self._in_vain = 0
        # Guards what the caller's threads and the loop's share: the calls under way and the streams' results.
        self._changed = threading.Condition()
        self._under_way = 0
        self._client = _client(link)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._live, name="lmeval-openai", daemon=True)
        self._thread.start()

    @property
    def root(self) -> str:
        """The server's address without the version that most of its paths have in common."""
        return self.base_url.removesuffix("/v1")

    @property
    def usage(self) -> Usage:
        """What was used so far, as the server counts it."""
        return self._accounts.usage

    async def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Call ``path``, below ``base_url`` or a whole address, and return the reply. Raises CallFailed."""
        return await self._call("POST", path, body)

    async def get(self, path: str) -> dict[str, Any]:
        """Read ``path``. Raises CallFailed."""
        return await self._call("GET", path, None)

    def ask(self, call: Callable[[], Awaitable[R]]) -> R:
        """Make one call and wait for it. Raises CallFailed."""
        [(_, result)] = self.run(iter([(None, call)]))
        if isinstance(result, CallFailed):
            raise result
        return result

    def run(self, calls: Iterator[tuple[K, Callable[[], Awaitable[R]]]]) -> Iterator[tuple[K, R | CallFailed]]:
        """Yield each call's key with its result, as they complete.

        ``calls`` are pulled in the caller's thread while the server has room. Closing the iterator cancels those under
        way. What a call raises besides CallFailed is raised here.
        """
        if self._loop.is_closed():
            raise BackendError(f"The connection to {self.base_url} is closed.")
        if threading.current_thread() is self._thread:
            raise RuntimeError("a call waits for other calls, which only it could go on with; await them instead")
        stream: _Stream[K, R] = _Stream()
        more = True
        try:
            while more or stream.open:
                while more and self._has_room(stream):
                    more = self._submit_next(stream, calls)
                yield from self._finished(stream, wanted=not more)
        finally:
            self._cancel(stream)

    def close(self) -> None:
        """End calls under way, close the sockets and join the thread. May be called again."""
        if self._loop.is_closed():
            return
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    # In the caller's thread.

    def _has_room(self, stream: _Stream[K, R]) -> bool:
        """Whether another call may begin: the server has room, and results are not left lying."""
        limit = self._gate.limit
        return self._under_way < limit and len(stream.results) <= limit

    def _submit_next(self, stream: _Stream[K, R], calls: Iterator[tuple[K, Callable[[], Awaitable[R]]]]) -> bool:
        item = next(calls, None)
        if item is None:
            return False
        with self._changed:
            self._under_way += 1
            stream.open += 1
        self._loop.call_soon_threadsafe(self._start, stream, *item)
        return True

    def _finished(self, stream: _Stream[K, R], *, wanted: bool) -> Iterator[tuple[K, R | CallFailed]]:
        """Wait for results, or for room where more calls are to be made, and yield what is there."""
        with self._changed:
            while not stream.results and (stream.open if wanted else not self._has_room(stream)):
                if not self._changed.wait(1.0) and not self._thread.is_alive():
                    raise BackendError(f"The connection to {self.base_url} is closed.")
            results, stream.results = stream.results, deque()
            stream.open -= len(results)
        while results:
            yield _opened(*results.popleft())

    def _cancel(self, stream: _Stream[K, R]) -> None:
        if stream.open and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(stream.cancel)

    # In the loop's thread.

    def _live(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
            self._loop.run_until_complete(self._end())
        finally:
            asyncio.set_event_loop(None)
            self._loop.close()

    async def _end(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_ENDING)
        await self._client.close()
        await asyncio.sleep(0)  # transports close in the loop's next round

    def _start(self, stream: _Stream[K, R], key: K, call: Callable[[], Awaitable[R]]) -> None:
        task = self._loop.create_task(_awaited(call))
        stream.tasks.add(task)

        def done(task: asyncio.Task[R]) -> None:
            stream.tasks.discard(task)
            if not task.cancelled():
                task.exception()  # asked for, so that asyncio does not report those that nobody waits for any more
            with self._changed:
                self._under_way -= 1
                stream.results.append((key, task))
                self._changed.notify_all()

        task.add_done_callback(done)

    async def _call(self, method: str, path: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
        attempt = 0
        while True:
            reply = await self._attempt(method, path, body)
            if not isinstance(reply, Trouble):
                self._in_vain = 0
                return reply
            if not reply.passing:
                raise reply.failure
            if attempt >= (min(self._link.max_retries, patience.get()) if self._in_vain < GONE else 0):
                self._in_vain += 1
                raise _after(attempt + 1, reply.failure)
            await asyncio.sleep(delay(attempt, reply.wait, self._draw))
            attempt += 1
            self._accounts.retried()

    async def _attempt(self, method: str, path: str, body: Mapping[str, Any] | None) -> dict[str, Any] | Trouble:
        """One try, while it has a place among the calls under way."""
        estimate = estimated_tokens(body) if body is not None and self._pace.counts_tokens else 0
        await self._pace.begin(estimate)
        entered = await self._gate.enter()
        try:
            reply = await self._sent(method, path, body)
            if isinstance(reply, Trouble):
                if reply.overload:
                    self._gate.overloaded(entered, reply.wait or 0.0)
                return reply
            self._gate.succeeded()
            self._pace.end(estimate, self._accounts.add(reply))
            return reply
        finally:
            self._gate.leave()

    async def _sent(self, method: str, path: str, body: Mapping[str, Any] | None) -> dict[str, Any] | Trouble:
        asked = f"{method} {path if urlsplit(path).scheme else self.base_url + path}"
        try:
            if body is None:
                reply = await self._client.get(path, cast_to=object)
            else:
                reply = await self._client.post(path, cast_to=object, body=body)
        except OpenAIError as error:
            return self._explaining.trouble(asked, error)
        except ValueError as error:  # the body is said to be JSON and is not
            return Trouble(failure=CallFailed(f"{asked}: the reply is not JSON: {self._explaining.shown(str(error))}"))
        if not isinstance(reply, dict):
            shown = self._explaining.shown(reply if isinstance(reply, str) else repr(reply))
            return Trouble(
                failure=CallFailed(f"{asked}: the reply is no JSON object. Is base_url right? It is: {shown}")
            )
        return reply


class _Stream(Generic[K, R]):
    """The calls of one :meth:`Connection.run`: ``open`` ones are submitted and not yet yielded."""

    def __init__(self) -> None:
        self.open = 0
        self.tasks: set[asyncio.Task[R]] = set()
        self.results: deque[tuple[K, asyncio.Task[R]]] = deque()

    def cancel(self) -> None:
        """Cancel what is under way."""
        for task in list(self.tasks):
            task.cancel()


def _client(link: Link) -> AsyncOpenAI:
    try:
        http = DefaultAioHttpClient()  # two thirds of the default's cost for each call
    except RuntimeError:  # aiohttp is not installed
        http = None
    timeout = Timeout(link.timeout, connect=min(link.timeout, CONNECT_TIMEOUT))
    return AsyncOpenAI(base_url=link.base_url, api_key=link.key, timeout=timeout, max_retries=0, http_client=http)


def _awaited(call: Callable[[], Awaitable[R]]) -> Coroutine[Any, Any, R]:
    async def wait() -> R:
        return await call()

    return wait()


def _opened(key: K, task: asyncio.Task[R]) -> tuple[K, R | CallFailed]:
    try:
        return key, task.result()
    except CallFailed as failed:
        return key, failed
    except asyncio.CancelledError:
        return key, CallFailed("The connection was closed before the answer came.")


def _after(attempts: int, failure: CallFailed) -> CallFailed:
    if attempts == 1:
        return failure
    said = f"{failure.reason} Tried {attempts} times."
    return CallFailed(said, kind=failure.kind, status=failure.status, lost=failure.lost)
