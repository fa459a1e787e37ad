from __future__ import annotations

import math
from typing import Any

import pytest

from pytest_lmeval.backends.openai.connection import CallFailed
from pytest_lmeval.backends.openai.constrained import constraint, read_choice
from pytest_lmeval.backends.openai.letters import merged, read_vote


def told(*tops: tuple[Any, Any]) -> dict[str, Any]:
    listed = [{"token": token, "logprob": logprob, "bytes": None} for token, logprob in tops]
    content = [{"token": "A", "logprob": -0.1, "top_logprobs": listed}]
    return {"choices": [{"message": {"content": "A"}, "logprobs": {"content": content}}]}


def said(text: Any) -> dict[str, Any]:
    return {"choices": [{"message": {"content": text}, "finish_reason": "stop"}]}


def test_variants_of_a_letter_count_together() -> None:
    tops = [("A", math.log(0.3)), (" A", math.log(0.2)), ("\nA.", math.log(0.1)), ("(B", math.log(0.05))]
    found = merged(tops, ("A", "B", "C"))
    assert found == {"A": pytest.approx(0.6), "B": pytest.approx(0.05)}


@pytest.mark.parametrize("token", ["a", " a", "An", "AA", "A B", "", " ", "Answer", "*", "..."])
def test_words_that_begin_like_a_letter_are_not_it(token: str) -> None:
    assert merged([(token, -0.1)], ("A", "B")) == {}


def test_a_letter_that_is_not_told_is_bounded_by_the_least_that_is() -> None:
    vote = read_vote(told(("A", math.log(0.6)), ("The", math.log(0.15)), ("B", math.log(0.1))), ("A", "B", "C"))
    assert vote.shares == pytest.approx((0.6, 0.1, 0.1))
    assert vote.unseen == {2}
    # What is only bounded is no part of what was seen.
    assert vote.coverage == pytest.approx(0.7)


def test_a_letter_that_is_not_told_has_no_more_than_the_others_leave() -> None:
    vote = read_vote(told(("A", math.log(0.9))), ("A", "B"))
    assert vote.shares == pytest.approx((0.9, 0.1))
    # Rounding may bring the sum above 1.
    assert read_vote(told(("A", 0.0), ("B", -9.0)), ("A", "C")).shares == (1.0, 0.0)


def test_no_letter_at_all_is_no_choice() -> None:
    with pytest.raises(CallFailed, match=r"None of the labels A, B is among the 2 .*'The', 'I'.*choices=constrained"):
        read_vote(told(("The", -0.1), ("I", -2.0)), ("A", "B"))


@pytest.mark.parametrize(
    "reply",
    [
        said("A"),
        {"choices": [{"message": {"content": "A"}, "logprobs": None}]},
        {"choices": [{"logprobs": {"content": []}}]},
        {"choices": [{"logprobs": {"content": [{"token": "A", "logprob": -0.1, "top_logprobs": []}]}}]},
        {"choices": [{"logprobs": [1]}]},
        told((1, -0.1), ("A", "x"), ("A", True), ("A", float("nan")), ("A", 5.0)),
    ],
)
def test_a_server_without_probabilities_is_told_from_one_with_unlikely_letters(reply: dict[str, Any]) -> None:
    with pytest.raises(CallFailed, match="gives no top_logprobs in chat"):
        read_vote(reply, ("A", "B"))


def test_infinitely_unlikely_tokens_are_read() -> None:
    vote = read_vote(told(("A", -0.0), ("B", -9999.0)), ("A", "B"))
    assert vote.shares == (1.0, 0.0)


@pytest.mark.parametrize("text", ["B", " B\n", '{"answer": "B"}', '{ "answer":"B" }\n'])
def test_a_constrained_answer_is_the_whole_vote(text: str) -> None:
    vote = read_choice(said(text), ("A", "B", "C"))
    assert vote.shares == (0.0, 1.0, 0.0)
    assert vote.coverage == 1.0


@pytest.mark.parametrize(
    "text", ["b", "B.", "The answer is B", "", '{"answer": "B"', '{"answer": 1}', "{}", '{"a":' * 9000]
)
def test_an_answer_that_does_not_hold_to_the_structure_is_none(text: str) -> None:
    with pytest.raises(CallFailed, match="does not hold the model to the structure"):
        read_choice(said(text), ("A", "B"))


def test_a_refusal_to_choose_is_a_refusal() -> None:
    with pytest.raises(CallFailed) as caught:
        read_choice({"choices": [{"message": {"content": None, "refusal": "No."}}]}, ("A", "B"))
    assert caught.value.kind == "refused"


def test_structures() -> None:
    assert constraint(("A", "B"), vllm=True) == {"structured_outputs": {"choice": ["A", "B"]}}
    schema = constraint(("A", "B"), vllm=False)["response_format"]["json_schema"]["schema"]
    assert schema["properties"] == {"answer": {"type": "string", "enum": ["A", "B"]}}
