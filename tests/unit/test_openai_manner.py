from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from pytest_lmeval.backends.openai.connection import CallFailed
from pytest_lmeval.backends.openai.manner import CHAT, COMPLETIONS, Manner, learn, reasoning_manner

TEXT = Manner(path=COMPLETIONS)
CONVERSATION = Manner(path=CHAT)

# What servers say, field by field, in their own words.
OPENAI = {
    "max_tokens": "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' "
    "instead.",
    "temperature": "Unsupported value: 'temperature' does not support 0.0 with this model. Only the default (1) value "
    "is supported.",
    "stop": "Unsupported parameter: 'stop' is not supported with this model.",
    "seed": "Unrecognized request argument supplied: seed",
}
TOO_MANY_STOPS = "Invalid 'stop': array too long. Expected an array with maximum length 4, but got 16 instead."


class Server:
    """Refuses fields one after the other, as servers do; remembers what it was asked."""

    def __init__(self, refusals: Mapping[str, str], stops: int = 99) -> None:
        self.bodies: list[Mapping[str, Any]] = []
        self._refusals = refusals
        self._stops = stops

    async def post(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        self.bodies.append(body)
        for field, reason in self._refusals.items():
            if field in body:
                raise CallFailed(reason, status=400)
        if len(body.get("stop", ())) > self._stops:
            raise CallFailed(TOO_MANY_STOPS, status=400)
        return {}


def learnt(server: Server, manner: Manner) -> Manner:
    return asyncio.run(learn(server.post, "m", manner))


@pytest.mark.parametrize("manner", [TEXT, CONVERSATION])
def test_a_server_that_takes_everything_is_asked_once(manner: Manner) -> None:
    server = Server({})
    assert learnt(server, manner) == replace(manner, stops=16)
    (body,) = server.bodies
    assert body["temperature"] == 0.0
    assert len(body["stop"]) == 16
    assert ("messages" in body) is (manner is CONVERSATION)


@pytest.mark.parametrize(("most", "expected"), [(16, 16), (15, 4), (4, 4), (3, 1), (0, 0)])
def test_the_number_of_stops_is_learnt(most: int, expected: int) -> None:
    assert learnt(Server({}, stops=most), TEXT).stops == expected


def test_what_a_model_does_not_take_is_left_out() -> None:
    server = Server(OPENAI)
    manner = learnt(server, CONVERSATION)
    expected = replace(CONVERSATION, length="max_completion_tokens", stops=0, temperature=False, seed=False)
    assert manner == expected
    assert server.bodies[-1].keys() == {"model", "messages", "max_completion_tokens"}
    assert len(server.bodies) == 5


@pytest.mark.parametrize("field", sorted(OPENAI))
def test_one_refusal_changes_one_thing(field: str) -> None:
    manner = learnt(Server({field: OPENAI[field]}), CONVERSATION)
    changed = {name for name in ("length", "stops", "temperature", "seed") if _of(manner, name) != _of(_FULL, name)}
    assert changed == {{"max_tokens": "length", "stop": "stops"}.get(field, field)}


def test_a_reasoning_model_gets_no_stops_to_begin_with() -> None:
    server = Server({})
    assert learnt(server, reasoning_manner(CHAT)) == reasoning_manner(CHAT)
    assert server.bodies[0].keys() == {"model", "messages", "max_completion_tokens"}


def test_running_out_of_tokens_means_that_the_settings_were_taken() -> None:
    reason = "Could not finish the message because max_tokens or model output limit was reached. Please try again."
    server = Server({"messages": reason})
    assert learnt(server, reasoning_manner(CHAT)) == reasoning_manner(CHAT)


@pytest.mark.parametrize(
    ("reason", "status"),
    [("The model `m` does not exist", 404), ("stopping is unsupported on weekdays", 400), ("temperature", 500)],
)
def test_other_refusals_are_passed_on(reason: str, status: int) -> None:
    async def post(path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        raise CallFailed(reason, status=status)

    with pytest.raises(CallFailed, match=reason):
        asyncio.run(learn(post, "m", CONVERSATION))


def test_effort_is_said() -> None:
    server = Server({})
    learnt(server, replace(reasoning_manner(CHAT), effort="low"))
    assert server.bodies[0]["reasoning_effort"] == "low"


def test_stops_that_are_sent() -> None:
    manner = replace(TEXT, stops=2)
    assert manner.sent(("", "a", "b", "a", "c")) == ["a", "b"]
    # They would end the reasoning.
    assert replace(manner, think_end="</think>").sent(("a",)) == []


_FULL = replace(CONVERSATION, stops=16)


def _of(manner: Manner, name: str) -> Any:
    return getattr(manner, name)
