from __future__ import annotations

import pytest

from pytest_lmeval.backends.openai.reasoning import separate, unfinished
from pytest_lmeval.backends.openai.replies import Reply

END = "</think>"


@pytest.mark.parametrize(
    ("text", "answer", "reasoning"),
    [
        ("<think>\nSix times seven.\n</think>\n\n42", "42", "Six times seven."),
        # The template has opened the mark.
        ("Six times seven.</think>42 ", "42 ", "Six times seven."),
        ("one</think>two</think>42", "42", "one</think>two"),
        ("</think>42", "42", None),
        ("42", "42", None),
        ("a</think>", "", "a"),
    ],
)
def test_reasoning_inside_the_text_is_not_the_answer(text: str, answer: str, reasoning: str | None) -> None:
    assert separate(Reply(text=text), END) == Reply(text=answer, reasoning=reasoning)


def test_without_the_option_the_text_is_the_answer() -> None:
    reply = Reply(text="<think>hm</think>42")
    assert separate(reply, None) is reply


def test_reasoning_that_the_server_tells_apart_is_kept() -> None:
    assert separate(Reply(text="a</think>b", reasoning="before"), END) == Reply(text="b", reasoning="before\na")


def test_text_that_was_cut_before_the_mark_is_reasoning() -> None:
    reply = separate(Reply(text="<think>Let me see", cut=True), END)
    assert (reply.text, reply.reasoning) == (None, "Let me see")
    assert unfinished(reply)


def test_an_answer_that_was_cut_after_the_mark_is_one() -> None:
    reply = separate(Reply(text="hm</think>The answer is", cut=True), END)
    assert reply.text == "The answer is"
    assert not unfinished(reply)


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (Reply(text=None, reasoning="hm", cut=True), True),
        # OpenAI counts reasoning without showing it.
        (Reply(text="", reasoning_tokens=64, cut=True), True),
        (Reply(text="42", reasoning="hm", cut=True), False),
        (Reply(text="", reasoning="hm", cut=False), False),
        (Reply(text="", cut=True), False),
    ],
)
def test_unfinished(reply: Reply, expected: bool) -> None:
    assert unfinished(reply) is expected
