"""The server that answers at once, asked over real connections, and what the client's benchmark makes of its turns."""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import Iterator, Sequence
from itertools import count
from threading import Event, Thread
from typing import Any

import pytest

from benchmarks.engines.client.__main__ import COLUMNS, Result, Turn, table
from benchmarks.engines.client.answering import COUNTS, port_of, serve
from benchmarks.engines.client.asking import CHAT, CHOICES, COMPLETIONS, SCORED, Figures, requests
from benchmarks.engines.client.replies import ANSWER, MODEL, SCALE_OUT, score
from pytest_lmeval.backends.protocol import Conversation, GenerationRequest, LoglikelihoodRequest

MIB = 2**20


def encode(text: str) -> Sequence[int]:
    return [ord(letter) for letter in text]


@pytest.fixture(scope="module")
def connection() -> Iterator[http.client.HTTPConnection]:
    """One connection for all tests: that it stays open is part of what is tested."""
    ports: list[int] = []
    ready, done = Event(), Event()

    async def run() -> None:
        server = await serve(encode)
        ports.append(port_of(server))
        ready.set()
        await asyncio.to_thread(done.wait)
        server.close()

    thread = Thread(target=lambda: asyncio.run(run()))
    thread.start()
    ready.wait()
    client = http.client.HTTPConnection("127.0.0.1", ports[0], timeout=30)
    yield client
    client.close()
    done.set()
    thread.join()


def post(connection: http.client.HTTPConnection, path: str, **body: Any) -> tuple[int, dict[str, Any]]:
    connection.request("POST", path, json.dumps(body))
    response = connection.getresponse()
    return response.status, json.load(response)


def get(connection: http.client.HTTPConnection, path: str) -> dict[str, Any]:
    connection.request("GET", path)
    found: dict[str, Any] = json.load(connection.getresponse())
    return found


def test_every_prompt_of_a_call_is_answered_in_its_place(connection: http.client.HTTPConnection) -> None:
    status, reply = post(connection, "/v1/completions", prompt=["a b", "c"], max_tokens=100)
    assert (status, [choice["index"] for choice in reply["choices"]]) == (200, [0, 1])
    assert {choice["text"] for choice in reply["choices"]} == {ANSWER}
    assert reply["usage"] == {"prompt_tokens": 4, "completion_tokens": 31, "total_tokens": 35}


def test_a_prompts_tokens_are_scored_each_by_itself(connection: http.client.HTTPConnection) -> None:
    _, reply = post(connection, "/v1/completions", prompt=[[7, 5, 1000]], max_tokens=1, prompt_logprobs=0)
    rows = reply["choices"][0]["prompt_logprobs"]
    assert rows[0] is None
    assert [{key: entry["logprob"] for key, entry in row.items()} for row in rows[1:]] == [
        {"5": score(5)},
        {"1000": score(1000)},
    ]


def test_an_echo_has_the_prompts_tokens_and_the_written_one(connection: http.client.HTTPConnection) -> None:
    _, reply = post(connection, "/v1/completions", prompt=[7, 5], max_tokens=1, echo=True, logprobs=1)
    logprobs = reply["choices"][0]["logprobs"]
    assert logprobs["token_logprobs"] == [None, score(5), score(ord(" "))]
    assert [len(logprobs[key]) for key in ("tokens", "top_logprobs", "text_offset")] == [3, 3, 3]


def test_tokens_that_are_asked_for_by_number_are_scored(connection: http.client.HTTPConnection) -> None:
    _, reply = post(connection, "/v1/completions", prompt=[7], max_tokens=1, logprobs=2, logprob_token_ids=[3, 4])
    (top,) = reply["choices"][0]["logprobs"]["top_logprobs"]
    assert (top["token_id:3"], top["token_id:4"]) == (score(3), score(4))


def test_the_token_level_route_scores_too(connection: http.client.HTTPConnection) -> None:
    settings = {"max_tokens": 1, "prompt_logprobs": 0, "logprobs": 1, "logprob_token_ids": [4]}
    assert post(connection, "/inference/v1/generate", token_ids=[7])[0] == 404
    _, reply = post(connection, f"{SCALE_OUT}/inference/v1/generate", token_ids=[7, 5], sampling_params=settings)
    assert reply["prompt_logprobs"][1]["5"]["logprob"] == score(5)
    (position,) = reply["choices"][0]["logprobs"]["content"]
    assert {"token_id": 4, "logprob": score(4)} in position["top_logprobs"]


def test_chat(connection: http.client.HTTPConnection) -> None:
    _, reply = post(connection, "/v1/chat/completions", messages=[{"role": "user", "content": "Well?"}])
    assert reply["choices"][0]["message"]["content"] == ANSWER


def test_what_the_server_is(connection: http.client.HTTPConnection) -> None:
    (card,) = get(connection, "/v1/models")["data"]
    assert card["id"] == MODEL
    assert post(connection, "/tokenize", prompt="ab")[1]["tokens"] == [97, 98]


@pytest.mark.parametrize(
    ("path", "status"), [("/v1/nothing", 404), ("/v1/completions", 400), ("/v1/chat/completions", 400)]
)
def test_what_makes_no_sense_is_refused(connection: http.client.HTTPConnection, path: str, status: int) -> None:
    found, reply = post(connection, path)
    assert (found, reply["error"]["code"]) == (status, status)


def test_calls_are_counted(connection: http.client.HTTPConnection) -> None:
    before = get(connection, COUNTS)["calls"]
    post(connection, "/tokenize", prompt="a")
    assert get(connection, COUNTS)["calls"] == before + 1


def test_requests_are_made_one_by_one_and_all_differ() -> None:
    numbers = count()
    endless = requests(COMPLETIONS, 10**9, numbers)
    assert [next(endless).id for _ in range(3)] == [0, 1, 2]
    texts = [request.context for request in requests(COMPLETIONS, 4, numbers) if isinstance(request, GenerationRequest)]
    assert len(set(texts)) == 4


def test_requests_of_each_kind() -> None:
    (turn,) = requests(CHAT, 1, count())
    assert isinstance(turn.context, Conversation)  # type: ignore[union-attr]
    for kind in SCORED:
        scored = [request for request in requests(kind, 8, count()) if isinstance(request, LoglikelihoodRequest)]
        assert [request.continuation for request in scored] == [*CHOICES, *CHOICES]
        assert len({request.context for request in scored}) == 2


def turn(seconds: float, mebibytes: int) -> Turn:
    return Turn(figures=Figures(seconds=seconds, cpu=seconds, peak=mebibytes * MIB), calls=500, cpu=seconds / 4)


def test_a_row() -> None:
    result = Result(kind="chat", requests=1000, ours=[turn(1.0, 90), turn(2.0, 91)], peer=[], long=turn(9.0, 92))
    line = table([result]).splitlines()[2]
    assert dict(zip(COLUMNS, [cell.strip() for cell in line.strip("|").split("|")], strict=True)) == {
        "requests": "1,000 of chat",
        "requests/s, ours": "750 (500 to 1,000)",
        "wanted": "1,000",
        "requests per second of CPU time": "750",
        "calls to the server per request": "0.50",
        "the server's share of a core": "25%",
        "requests/s, lm-eval": "-",
        "peak MiB": "91",
        "peak MiB with ten times as many": "92",
    }
