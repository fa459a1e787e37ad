from __future__ import annotations

import math
import warnings
from typing import Any

import pytest

from pytest_lmeval.backends.openai import OpenAIOptions
from pytest_lmeval.backends.openai.choices import ChoiceScorer
from pytest_lmeval.backends.openai.writing import Writing, check, open_chooser, open_writing, scoring_name
from pytest_lmeval.backends.protocol import Conversation, Failure, GenerationAnswer, GenerationRequest, Message
from pytest_lmeval.errors import BackendError, ModelSpecError

from .scripted_server import Body, Script, chat_reply, scripted

ASKED = Conversation((Message("user", "Red and blue?"),))


def opened(script: Script, endpoint: str = "chat", **options: Any) -> tuple[Writing, list[Body]]:
    chosen = OpenAIOptions(endpoint=endpoint, **options)
    with scripted(script) as (connection, bodies):
        writing = open_writing(connection, "m", chosen, vllm=False, local=None)
        return writing, list(bodies)


def choosing(script: Script, endpoint: str = "chat", **options: Any) -> tuple[ChoiceScorer, list[Body]]:
    chosen = OpenAIOptions(endpoint=endpoint, **options)
    with scripted(script) as (connection, bodies):
        writing = open_writing(connection, "m", chosen, vllm=False, local=None)
        return open_chooser(connection, "m", chosen, writing.offers), list(bodies)


def refusing(field: str, reason: str, status: int = 400) -> Script:
    def script(path: str, body: Body) -> Any:
        return (status, {"error": {"message": reason}}) if field in body else chat_reply({"content": "A"})

    return script


def telling(count: int = 20) -> Script:
    """A server that tells ``count`` tokens at most, in OpenAI's words."""

    def script(path: str, body: Body) -> Any:
        asked = body.get("top_logprobs", 0)
        if asked > count:
            reason = f"Invalid value for 'top_logprobs': must be less than or equal to {count}."
            return 400, {"error": {"message": reason}}
        tops = [{"token": token, "logprob": math.log(0.4)} for token in "AB"][:asked]
        return chat_reply({"content": "A"}, logprobs={"content": [{"token": "A", "top_logprobs": tops}]})

    return script


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"choices": "letter"}, "choices=letter is not known. Use one of off, letters, constrained"),
        ({"unfinished": "wrong"}, "unfinished=wrong is not known. Use one of error, empty"),
        ({"reasoning_tokens": -1}, "reasoning_tokens=-1"),
        ({"choices": "letters", "endpoint": "completions"}, "leave endpoint=completions out"),
        ({"chat_template": "x", "endpoint": "chat"}, "chat_template is applied here"),
        ({"input_price": 1.0}, "output_price is missing"),
    ],
)
def test_options_that_mean_nothing(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ModelSpecError, match=said):
        check(OpenAIOptions(**options))


def test_defaults_are_in_order() -> None:
    check(OpenAIOptions())


def test_each_endpoint_is_asked_once_and_what_it_takes_is_told() -> None:
    writing, bodies = opened(lambda path, body: chat_reply({"content": "yes"}), "auto")
    assert ["messages" in body for body in bodies] == [False, True]
    assert writing.details == {
        "completions_stops": 16, "completions_temperature": True, "chat_stops": 16, "chat_temperature": True,
    }  # fmt: skip


def test_a_model_without_temperature_is_warned_of() -> None:
    reason = "Unsupported value: 'temperature' does not support 0.0 with this model."
    with pytest.warns(UserWarning, match="takes no temperature, so answers are drawn"):
        writing, _ = opened(refusing("temperature", reason))
    assert writing.details["chat_temperature"] is False


def test_a_reasoning_model_is_not() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        writing, bodies = opened(
            refusing("temperature", "x"), reasoning=True, reasoning_effort="low", reasoning_tokens=500
        )
    assert writing.details == {
        "chat_stops": 0, "chat_temperature": False, "chat_reasoning": True, "chat_reasoning_tokens": 500,
        "chat_reasoning_effort": "low",
    }  # fmt: skip
    assert bodies[0]["reasoning_effort"] == "low"


def test_what_the_user_says_reaches_the_answers() -> None:
    cut = {"choices": [{"message": {"content": "<think>Mix"}, "finish_reason": "length"}]}
    options = OpenAIOptions(think_end="</think>", unfinished="empty", reasoning_tokens=100, endpoint="chat")
    asked = GenerationRequest(id=1, context=ASKED)
    with scripted(lambda path, body: cut) as (connection, bodies):
        writing = open_writing(connection, "m", options, vllm=False, local=None)
        (answer,) = writing.generator.generate(iter([asked]))
        assert bodies[-1]["max_tokens"] == 356
    assert answer == GenerationAnswer(id=1, text="", tokens=0, reasoning="Mix", truncated=True)


def test_a_server_that_refuses_to_write() -> None:
    with pytest.raises(ModelSpecError, match=r"does not let m write.*no such endpoint"):
        opened(refusing("messages", "no such endpoint", 404))


def test_a_server_that_does_not_answer_is_no_server_without_the_endpoint() -> None:
    with pytest.raises(BackendError, match="bad key"):
        opened(refusing("messages", "bad key", 401), "auto")


def test_an_endpoint_that_is_not_there_is_done_without_and_said_to_be_missing() -> None:
    script = refusing("messages", "the model has no chat template")
    with scripted(script) as (connection, _):
        writing = open_writing(connection, "m", OpenAIOptions(), vllm=False, local=None)
        (answer,) = writing.generator.generate(iter([GenerationRequest(id=1, context=ASKED)]))
    assert set(writing.details) == {"completions_stops", "completions_temperature"}
    assert isinstance(answer, Failure)
    assert "There is no chat endpoint" in answer.error
    assert "the model has no chat template" in answer.error


def test_an_own_template_needs_something_to_apply_it_with() -> None:
    with pytest.raises(ModelSpecError, match="chat_template needs the model's tokenizer"):
        opened(lambda path, body: chat_reply({"content": "yes"}), "auto", chat_template="x")


@pytest.mark.parametrize(("most", "expected"), [(20, 20), (19, 10), (5, 5)])
def test_letters_are_had_from_as_many_tokens_as_the_server_tells(most: int, expected: int) -> None:
    chooser, bodies = choosing(telling(most), choices="letters", rotate=True)
    assert bodies[-1]["top_logprobs"] == expected
    assert (chooser.details["choices"], chooser.details["rotate"]) == ("letters", True)


@pytest.mark.parametrize(
    "script",
    [
        telling(4),
        telling(0),
        # Drops what it is asked of, without a word.
        lambda path, body: chat_reply({"content": "A"}),
        refusing("logprobs", "'logprobs' is not supported with this model"),
    ],
    ids=["four at most", "none", "silent", "refused"],
)
def test_letters_from_a_server_that_tells_nothing(script: Script) -> None:
    with pytest.raises(
        ModelSpecError, match=r"choices=letters cannot be had from this server.*Try choices=constrained"
    ):
        choosing(script, choices="letters")


def test_a_constrained_choice() -> None:
    _, bodies = choosing(lambda path, body: chat_reply({"content": '{"answer": "B"}'}), choices="constrained")
    assert bodies[-1]["response_format"]["type"] == "json_schema"


def test_a_constrained_choice_from_a_server_that_drops_the_constraint() -> None:
    with pytest.raises(ModelSpecError, match="choices=constrained cannot be had"):
        choosing(lambda path, body: chat_reply({"content": "The letter A."}), choices="constrained")


def test_choices_need_a_chat_endpoint() -> None:
    with pytest.raises(ModelSpecError, match=r"has no chat endpoint.*no such endpoint"):
        choosing(refusing("messages", "no such endpoint", 404), "auto", choices="letters")


def test_each_way_of_choosing_is_a_metric_of_its_own() -> None:
    ways = ("off", "letters", "constrained")
    names = [scoring_name(OpenAIOptions(choices=way)) for way in ways]
    assert names == ["log-likelihood", "letters", "constrained"]
    assert scoring_name(OpenAIOptions(choices="letters", rotate=True)) == "letters-rotated"
