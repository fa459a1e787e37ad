from __future__ import annotations

from typing import Any

import pytest

from pytest_lmeval.backends.openai.connection import CallFailed
from pytest_lmeval.backends.openai.replies import Reply, read

USAGE = {"prompt_tokens": 7, "completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 3}}


def chat(message: Any, finish: Any = "stop", **further: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "message": message, "finish_reason": finish}], **further}


def failed(reply: dict[str, Any]) -> CallFailed:
    with pytest.raises(CallFailed) as caught:
        read(reply)
    return caught.value


def test_a_text() -> None:
    reply = read({"choices": [{"text": " blue", "finish_reason": "length", "token_ids": [3, 4]}], "usage": USAGE})
    expected = Reply(text=" blue", cut=True, token_ids=(3, 4), prompt_tokens=7, completion_tokens=5, reasoning_tokens=3)
    assert reply == expected
    assert reply.tokens == 12


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_reasoning_is_apart(field: str) -> None:
    assert read(chat({"content": "42", field: "hm"})) == Reply(text="42", reasoning="hm")


def test_text_in_parts() -> None:
    parts = [{"type": "thinking", "thinking": []}, {"type": "text", "text": "4"}, {"type": "text", "text": "2"}]
    assert read(chat({"content": parts})).text == "42"


def test_an_empty_answer_is_an_answer() -> None:
    assert read(chat({"content": ""})).text == ""


def test_no_text_is_left_to_reasoning_where_the_limit_ended_it() -> None:
    assert read(chat({"content": None}, "length")) == Reply(text=None, cut=True)


def test_a_refusal_is_no_answer() -> None:
    failure = failed(chat({"content": None, "refusal": "I can't help with that."}))
    assert failure.kind == "refused"
    assert "I can't help with that." in failure.reason


def test_a_filtered_answer_is_none_even_with_text() -> None:
    assert failed(chat({"content": "The first half"}, "content_filter")).kind == "filtered"
    assert failed({"choices": [{"text": "", "finish_reason": "content_filter"}]}).kind == "filtered"


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ({"choices": []}, "no choices; found []"),
        ({"choices": None}, "no choices; found None"),
        ({"choices": ["x"]}, "no choices; found ['x']"),
        ({"error": "overloaded"}, "found {'error': 'overloaded'}"),
        (chat({"content": None}), "no text; its content is None and its finish_reason 'stop'"),
        (chat({"content": 42}), "its content is 42"),
        (chat(None, "length"), "no text"),
        (chat({"content": [{"type": "image"}]}), "no text"),
        (chat({"content": None, "tool_calls": [{"id": "1"}]}, "tool_calls"), "the model called a tool"),
        ({"choices": [{"text": None, "finish_reason": "stop"}]}, "its content is None"),
    ],
)
def test_what_is_no_answer_is_told(reply: dict[str, Any], said: str) -> None:
    failure = failed(reply)
    assert failure.kind == "error"
    assert said in failure.reason


def test_what_was_found_is_shortened() -> None:
    assert len(failed(chat({"content": ["x" * 100_000]})).reason) < 500


@pytest.mark.parametrize("usage", [None, [], {"prompt_tokens": "7"}, {"prompt_tokens": -1, "completion_tokens": True}])
def test_counts_of_other_types_are_none(usage: Any) -> None:
    assert read(chat({"content": "x"}, usage=usage)).tokens == 0


@pytest.mark.parametrize("ids", ["12", [1, "2"], [True], [-1], {"1": 1}])
def test_ids_of_other_types_are_none(ids: Any) -> None:
    assert read({"choices": [{"text": "x", "finish_reason": "stop", "token_ids": ids}]}).token_ids is None
