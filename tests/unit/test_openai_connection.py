from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("openai")

from pytest_lmeval.backends.openai import connection as module
from pytest_lmeval.backends.openai.connection import CallFailed, Connection, Link, patience
from pytest_lmeval.backends.openai.pacing import START
from pytest_lmeval.errors import BackendError
from tests.unit.answering import Reply, answering, connected, in_turn

OK = Reply({"id": 1, "usage": {"prompt_tokens": 3, "completion_tokens": 2}})
SOON = {"retry-after-ms": "1"}

Call = Callable[[], Awaitable[Any]]


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_lmeval.backends.openai.retrying.FIRST_WAIT", 0.001)


def post(connection: Connection) -> dict[str, Any]:
    return connection.ask(lambda: connection.post("/completions", {"prompt": "a"}))


def failure(connection: Connection) -> CallFailed:
    with pytest.raises(CallFailed) as caught:
        post(connection)
    return caught.value


def test_a_call_is_answered_and_accounted_for() -> None:
    details = {"prompt_tokens_details": {"cached_tokens": 2}, "completion_tokens_details": {"reasoning_tokens": 1}}
    reply = Reply({"usage": {"prompt_tokens": 3, "completion_tokens": 2, **details}})
    with connected(lambda *_: reply) as (connection, server):
        assert post(connection) == reply.body
        post(connection)
    assert server.asked == [("/v1/completions", {"prompt": "a"})] * 2
    assert server.keys == ["Bearer sk-secret"] * 2
    usage = connection.usage
    assert (usage.calls, usage.prompt_tokens, usage.completion_tokens) == (2, 6, 4)
    assert (usage.cached_tokens, usage.reasoning_tokens, usage.retries) == (4, 2, 0)


@pytest.mark.parametrize(
    "used", [None, [], {"prompt_tokens": "many"}, {"prompt_tokens": -1, "completion_tokens": True}]
)
def test_what_is_no_count_is_not_counted(used: object) -> None:
    with connected(lambda *_: Reply({"usage": used})) as (connection, _):
        post(connection)
    assert (connection.usage.prompt_tokens, connection.usage.completion_tokens) == (0, 0)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 529])
def test_what_passes_is_tried_again(status: int) -> None:
    with connected(in_turn(Reply(status=status, headers=SOON), Reply(status=status, headers=SOON), OK)) as (
        connection,
        _,
    ):
        assert post(connection) == OK.body
    assert connection.usage.retries == 2


@pytest.mark.parametrize("status", [400, 401, 404, 422])
def test_what_does_not_pass_is_tried_once(status: int) -> None:
    message = {"error": {"message": "context too long"}}
    with connected(lambda *_: Reply(message, status=status)) as (connection, server):
        failed = failure(connection)
    assert len(server.asked) == 1
    assert failed.status == status
    assert "context too long" in failed.reason


def test_retries_are_bounded() -> None:
    with connected(lambda *_: Reply(status=500), max_retries=3) as (connection, server):
        failed = failure(connection)
    assert len(server.asked) == 4
    assert failed.status == 500
    assert "Tried 4 times" in failed.reason


def test_a_call_may_have_less_patience() -> None:
    async def hasty() -> object:
        patience.set(0)
        return await connection.post("/completions", {})

    with connected(lambda *_: Reply(status=500)) as (connection, server):
        with pytest.raises(CallFailed):
            connection.ask(hasty)
        assert len(server.asked) == 1


def test_a_server_that_is_gone_is_not_waited_for_each_time() -> None:
    with connected(lambda *_: Reply(status=500), max_retries=1) as (connection, server):
        for _ in range(module.GONE):
            failure(connection)
        assert len(server.asked) == 2 * module.GONE
        failure(connection)
        assert len(server.asked) == 2 * module.GONE + 1


def test_a_used_up_quota_does_not_pass() -> None:
    body = {"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}}
    with connected(lambda *_: Reply(body, status=429)) as (connection, server):
        failure(connection)
    assert len(server.asked) == 1


def test_a_filter_is_another_outcome_than_an_error() -> None:
    body = {"error": {"message": "filtered", "code": "content_filter"}}
    with connected(lambda *_: Reply(body, status=400)) as (connection, _):
        assert failure(connection).kind == "filtered"


def test_the_key_is_never_shown() -> None:
    body = {"error": {"message": "wrong key sk-secret\x1b[31m\nsecond line"}}
    with connected(lambda *_: Reply(body, status=401)) as (connection, _):
        reason = failure(connection).reason
    assert "sk-secret" not in reason
    assert "\x1b" not in reason
    assert "OPENAI_API_KEY" in reason
    assert "sk-secret" not in repr(Link(base_url="http://a/v1", key="sk-secret"))


@pytest.mark.parametrize(
    "reply",
    [Reply(b"<html>hello", content_type="text/html"), Reply(b'{"id": ', content_type="application/json"), Reply([1])],
)
def test_what_is_no_json_object_is_no_reply(reply: Reply) -> None:
    with connected(lambda *_: reply) as (connection, _):
        assert "JSON" in failure(connection).reason


def test_a_server_that_is_not_there() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        connection = Connection(Link(base_url=url, key="x", max_retries=0))
        try:
            failed = failure(connection)
        finally:
            connection.close()
    assert failed.lost
    assert url in failed.reason


def test_a_server_that_does_not_answer_in_time() -> None:
    done = threading.Event()

    def late(_path: str, _body: Any) -> Reply:
        done.wait(30)
        return OK

    with connected(late, timeout=0.2, max_retries=0) as (connection, _):
        failed = failure(connection)
        done.set()
    assert failed.lost
    assert "0.2 s" in failed.reason


def test_calls_are_pulled_while_there_is_room() -> None:
    pulled: list[int] = []
    goes_on = threading.Event()

    def answer(_path: str, body: Any) -> Reply:
        if body["n"]:
            goes_on.wait(30)
        return OK

    def calls() -> Iterator[tuple[int, Call]]:
        for n in range(1000):
            pulled.append(n)
            yield n, lambda n=n: connection.post("/completions", {"n": n})  # type: ignore[misc]

    with connected(answer) as (connection, _):
        results = connection.run(calls())
        assert next(results)[0] == 0
        assert len(pulled) <= 2 * START
        goes_on.set()
        assert sorted(key for key, _ in results) == list(range(1, 1000))


def test_streams_may_be_open_at_once() -> None:
    def calls(name: str) -> Iterator[tuple[str, Call]]:
        return ((name, lambda: connection.post("/completions", {})) for _ in range(20))

    with connected(lambda *_: OK) as (connection, _):
        one, other = connection.run(calls("one")), connection.run(calls("other"))
        assert next(one)[0] == "one"
        assert [key for key, _ in other] == ["other"] * 20
        assert [key for key, _ in one] == ["one"] * 19


def test_a_closed_stream_cancels_its_calls() -> None:
    cancelled = threading.Event()

    async def forever() -> None:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async def at_once() -> None:
        return None

    with connected(lambda *_: OK) as (connection, _):
        stream = connection.run(iter([("slow", forever), ("fast", at_once)]))
        assert next(stream) == ("fast", None)
        stream.close()  # type: ignore[attr-defined]
        assert cancelled.wait(30)
        assert post(connection) == OK.body


def test_a_mistake_in_a_call_is_raised_where_it_was_made() -> None:
    async def wrong() -> None:
        raise ZeroDivisionError

    with connected(lambda *_: OK) as (connection, _):
        with pytest.raises(ZeroDivisionError):
            connection.ask(wrong)
        assert post(connection) == OK.body


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_the_end_of_the_calls_may_be_seen_after_all_results(limit: int) -> None:
    # With as many calls as may be under way, the last results are taken before the calls are known to have ended.
    with connected(lambda *_: OK, max_connections=limit) as (connection, _):
        calls = [(number, lambda: connection.post("/x", {})) for number in range(3)]
        assert sorted(number for number, _ in connection.run(iter(calls))) == [0, 1, 2]


def test_a_call_that_waits_for_others_is_told_so() -> None:
    async def waits() -> object:
        return connection.ask(at_once)

    async def at_once() -> None:
        return None

    with connected(lambda *_: OK) as (connection, _), pytest.raises(RuntimeError, match="await"):
        connection.ask(waits)


def test_closing_leaves_no_thread_and_may_be_repeated() -> None:
    with answering(lambda *_: OK) as server:
        connection = Connection(Link(base_url=server.base_url, key="x"))
        post(connection)
        connection.close()
        connection.close()
        assert not [thread for thread in threading.enumerate() if thread.name == "lmeval-openai"]
        with pytest.raises(BackendError, match="closed"):
            post(connection)
