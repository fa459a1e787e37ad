from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_lmeval.backends.openai.asking import Asking, Local
from pytest_lmeval.backends.openai.generating import Finishing, ServerGenerator
from pytest_lmeval.backends.openai.manner import CHAT, COMPLETIONS, Manner, reasoning_manner
from pytest_lmeval.backends.protocol import (
    Context,
    Conversation,
    Failure,
    GenerationAnswer,
    GenerationRequest,
    GenerationSettings,
    Message,
)
from pytest_lmeval.backends.text.chat import ChatTemplate
from pytest_lmeval.backends.text.encoding import Encoder, TokenizedModel
from pytest_lmeval.backends.text.endings import Endings

from .scripted_server import Body, Script, chat_reply, scripted

ASKED = Conversation((Message("user", "Red and blue?"),))
CONVERSATION = Manner(path=CHAT)
REASONING = reasoning_manner(CHAT)


def answers(
    script: Script,
    requests: Sequence[GenerationRequest],
    chat: Manner | None = CONVERSATION,
    finishing: Finishing | None = None,
) -> list[GenerationAnswer | Failure]:
    with scripted(script) as (connection, _):
        asking = Asking("m", Manner(path=COMPLETIONS), chat)
        found = ServerGenerator(connection, asking, finishing or Finishing()).generate(iter(requests))
        return sorted(found, key=lambda answer: answer.id)


def answered(
    reply: Any, *, chat: Manner = CONVERSATION, finishing: Finishing | None = None, **settings: Any
) -> GenerationAnswer | Failure:
    (answer,) = answers(lambda path, body: reply, [request(0, ASKED, **settings)], chat, finishing)
    return answer


def request(number: int, context: Context, **settings: Any) -> GenerationRequest:
    return GenerationRequest(id=number, context=context, settings=GenerationSettings(**settings))


def failed(answer: GenerationAnswer | Failure) -> str:
    assert isinstance(answer, Failure), answer
    return answer.error


def text_of(answer: GenerationAnswer | Failure) -> str:
    assert isinstance(answer, GenerationAnswer), answer
    return answer.text


def test_each_request_is_answered_by_its_endpoint() -> None:
    def script(path: str, body: Body) -> Any:
        if path == "/completions":
            return {"choices": [{"text": f"after {body['prompt']}", "finish_reason": "stop"}]}
        return chat_reply({"content": f"to {body['messages'][0]['content']}"})

    contexts: list[Context] = ["one", ASKED, "two"]
    requests = [request(number, context) for number, context in enumerate(contexts)]
    assert [text_of(answer) for answer in answers(script, requests)] == ["after one", "to Red and blue?", "after two"]


def test_tokens_are_the_servers_count() -> None:
    answer = answered(chat_reply({"content": "purple"}))
    assert answer == GenerationAnswer(id=0, text="purple", tokens=12)


@pytest.mark.parametrize(
    ("until", "expected"),
    [
        (("\n",), "purple, é"),
        (tuple("VWXYZ,"), "purple"),
        ((",", "e,"), "purpl"),
        (("é", " é"), "purple,"),
        (("",), "purple, é\nQ: more"),
        (("never",), "purple, é\nQ: more"),
        (("p",), ""),
    ],
)
def test_all_stop_strings_cut_whatever_the_server_does(until: tuple[str, ...], expected: str) -> None:
    assert text_of(answered(chat_reply({"content": "purple, é\nQ: more"}), until=until)) == expected


@pytest.mark.parametrize(
    ("finish", "until", "truncated"),
    [("length", (), True), ("stop", (), False), ("length", (",",), False), ("length", ("never",), True)],
)
@pytest.mark.parametrize("context", ["Red and blue", ASKED], ids=["completions", "chat"])
def test_an_answer_tells_whether_the_limit_ended_it(
    context: Context, finish: str, until: tuple[str, ...], truncated: bool
) -> None:
    def script(path: str, body: Body) -> Any:
        if path == "/completions":
            return {"choices": [{"text": "purple, é", "finish_reason": finish}]}
        return chat_reply({"content": "purple, é"}, finish)

    (answer,) = answers(script, [request(0, context, until=until)])
    assert isinstance(answer, GenerationAnswer)
    assert answer.truncated is truncated


def test_reasoning_is_no_part_of_the_answer_and_stops_are_looked_for_after_it() -> None:
    inline = replace(CONVERSATION, think_end="</think>")
    content = {"content": "<think>Mix\n\nthem.</think>\n\npurple\n\nmore"}
    answer = answered(chat_reply(content), chat=inline, until=("\n\n",))
    assert answer == GenerationAnswer(id=0, text="purple", tokens=12, reasoning="Mix\n\nthem.")
    apart = answered(chat_reply({"content": "purple\n\nx", "reasoning_content": "Mix\n\n."}), until=("\n\n",))
    assert apart == GenerationAnswer(id=0, text="purple", tokens=12, reasoning="Mix\n\n.")


CUT = {"choices": [{"message": {"content": None, "reasoning": "Mix"}, "finish_reason": "length"}]}


@pytest.mark.parametrize(
    "reply",
    [
        CUT,
        {
            "choices": [{"message": {"content": ""}, "finish_reason": "length"}],
            "usage": {"completion_tokens_details": {"reasoning_tokens": 9}},
        },
    ],
)
def test_reasoning_that_used_up_the_limit_is_no_empty_answer(reply: Any) -> None:
    reason = failed(answered(reply, chat=replace(REASONING, reasoning_tokens=90), max_tokens=10))
    assert "The limit of 100 tokens was used up by reasoning" in reason
    assert "reasoning_tokens=N" in reason


def test_unless_the_user_says_so() -> None:
    answer = answered(CUT, finishing=Finishing(unfinished_empty=True))
    assert answer == GenerationAnswer(id=0, text="", tokens=0, reasoning="Mix", truncated=True)


@pytest.mark.parametrize("content", [None, ""])
def test_a_stop_string_inside_the_reasoning_is_no_empty_answer(content: str | None) -> None:
    reply = chat_reply({"content": content, "reasoning": "Mix"}, "stop")
    assert "reasoning=true" in failed(answered(reply, until=("\n",)))
    # Without stop strings it is the model that said nothing.
    assert text_of(answered(reply)) == ""


def test_no_text_and_no_reasoning() -> None:
    assert "no text, and the token limit" in failed(answered(chat_reply({"content": None}, "length")))


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (chat_reply({"content": None, "refusal": "I won't."}), "refused"),
        (chat_reply({"content": ""}, "content_filter"), "filtered"),
        ((400, {"error": {"message": "The prompt was flagged.", "code": "content_filter"}}), "filtered"),
        ((400, {"error": {"message": "Rejected.", "code": "content_policy_violation"}}), "filtered"),
        ((400, {"error": {"message": "top_k is no argument", "code": "invalid_request_error"}}), "error"),
        ({"choices": []}, "error"),
        ({}, "error"),
    ],
)
def test_no_answer_fails_for_itself_alone_with_its_kind(reply: Any, kind: str) -> None:
    def script(path: str, body: Body) -> Any:
        return reply if body["messages"][0]["content"] == "Red and blue?" else chat_reply({"content": "fine"})

    other = Conversation((Message("user", "Red?"),))
    first, second = answers(script, [request(0, ASKED), request(1, other)])
    assert isinstance(first, Failure), first
    assert first.kind == kind
    assert text_of(second) == "fine"


def test_what_the_server_says_of_a_setting_is_told() -> None:
    reason = failed(answered((400, {"error": {"message": "Unrecognized request argument supplied: top_k"}})))
    assert "Unrecognized request argument supplied: top_k" in reason


def test_a_request_that_cannot_be_asked_fails_in_its_place() -> None:
    requests = [request(0, ASKED, extra=(("zeal", 1),)), request(1, ASKED)]
    first, second = answers(lambda path, body: chat_reply({"content": "purple"}), requests)
    assert "no generation setting zeal" in failed(first)
    assert text_of(second) == "purple"


def test_an_answer_far_beyond_its_limit_is_not_kept() -> None:
    reason = failed(answered(chat_reply({"content": "x" * 1_000_000}), max_tokens=4))
    assert "1,000,000 characters where 4 tokens" in reason
    assert len(reason) < 500


def test_requests_are_pulled_as_connections_are_free() -> None:
    pulled = 0

    def endless() -> Iterator[GenerationRequest]:
        nonlocal pulled
        while True:
            yield request(pulled, ASKED)
            pulled += 1

    with scripted(lambda path, body: chat_reply({"content": "purple"})) as (connection, _):
        stream = ServerGenerator(connection, Asking("m", None, CONVERSATION), Finishing()).generate(endless())
        for _ in range(10):
            next(stream)
        assert pulled < 200
        stream.close()  # type: ignore[attr-defined]


def test_an_answer_goes_on_where_the_server_saw_a_stop_string_that_is_not_in_it(shared_dir: Path) -> None:
    transformers = pytest.importorskip("transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(shared_dir / "models" / "stories260K")
    endings = Endings(tokenizer)
    whole = tokenizer.encode("the dog ran. Tom", add_special_tokens=False)
    parts = [whole[:2], whole[2:]]

    def script(path: str, body: Body) -> Any:
        written = parts[len(bodies) - 1]
        choice = {"text": tokenizer.decode(written), "finish_reason": "stop", "token_ids": written}
        return {"choices": [choice | {"stop_reason": " the" if written == parts[0] else "."}]}

    local = Local(
        encoder=Encoder(TokenizedModel(tokenizer=tokenizer, max_length=64, prefix_token_id=tokenizer.bos_token_id)),
        endings=endings,
        template=ChatTemplate(tokenizer, "stories"),
    )
    asking = Asking("m", replace(Manner(path=COMPLETIONS), ids=True, vllm=True), None, local)
    asked = request(0, "Once", until=(" the", "."), max_tokens=30)
    with scripted(script) as (connection, bodies):
        finishing = Finishing(endings=endings)
        (answer,) = ServerGenerator(connection, asking, finishing).generate(iter([asked]))
        first, second = bodies
    assert text_of(answer) == "the dog ran"
    assert second["prompt"] == [*first["prompt"], *parts[0]]
    assert second["max_tokens"] == 28
