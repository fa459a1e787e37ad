from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_lmeval.results import Flaw
from pytest_lmeval.tasks.scoring.flaws import flaw_of_choices, flaw_of_text

SOUND = {
    "a number": "#### 1000000000000000000",
    "a googol": "It is 1" + "0" * 100 + ".",
    "a list": "\n".join(f"{i}. Add {name} and stir." for i, name in enumerate(["salt", "milk", "eggs", "flour"] * 3)),
    "a numbered list of one thing": "\n".join(f"{i}. Wait a minute." for i in range(40)),
    "a table": "| year | count |\n|------|-------|\n"
    + "\n".join(f"| {1990 + i} | {i * 37 % 101} |" for i in range(60)),
    "an empty table": "| name | place |\n|---|---|\n" + "| | |\n" * 12,
    "a rule": "Title\n" + "=" * 79 + "\nText below.\n" + "-" * 79,
    "code": "def f(x):\n" + "".join(f"    if x == {i}:\n        return {i * i}\n" for i in range(30)),
    "closing brackets": "f(x) = " + "(" * 30 + "x" + ")" * 30,
    "a poem": "Row, row, row your boat,\nGently down the stream.\nMerrily, merrily, merrily,\nLife is a dream.",
    "a refrain": "One verse of it.\n" + "Here we go round the mulberry bush,\n" * 3 + "On a cold and frosty morning.",
    "laughter": "Ha ha ha ha ha! That is a good one.",
    "zeros": "zeros = [" + ", ".join("0" * 25) + "]",
    "a fraction": "1/7 = 0." + "142857" * 8,
}


@pytest.mark.parametrize("text", SOUND.values(), ids=SOUND.keys())
def test_what_people_write_is_sound(text: str) -> None:
    assert flaw_of_text(text, truncated=False) is None
    # Cut off anywhere it is cut off, and nothing else.
    for end in range(10, len(text), 7):
        assert flaw_of_text(text[:end], truncated=True) is Flaw.TRUNCATED


LOOPS = {
    "one character": "!" * 64,
    "a word": "the " * 30,
    "a phrase": "I am sorry, I cannot do that. " * 12,
    "lines": "Answer:\n\n" * 40,
    "newlines after an answer": "4" + "\n" * 100,
    "a paragraph": (" ".join(f"word{i}" for i in range(90)) + ". ") * 5,
    "no alphabet": "的" * 80,
    "an answer first": "The answer is 7, since 3 + 4 = 7 and nothing is left over.\n" * 1 + "So it is 7. " * 40,
    "long": "ab " * 400_000,
}


@pytest.mark.parametrize("text", LOOPS.values(), ids=LOOPS.keys())
def test_a_loop_that_the_limit_ended(text: str) -> None:
    assert flaw_of_text(text, truncated=True) is Flaw.REPETITION
    # The limit falls anywhere in the unit.
    for cut in range(1, 8):
        assert flaw_of_text(text[:-cut], truncated=True) is Flaw.REPETITION


def test_a_loop_that_ended_by_itself_is_one_only_where_it_is_most_of_the_answer() -> None:
    assert flaw_of_text("so it is, " * 40, truncated=False) is Flaw.REPETITION
    assert flaw_of_text("so it is, " * 9, truncated=False) is None
    words = " ".join(str(number) for number in range(600))
    assert flaw_of_text(words + "so it is, " * 30, truncated=False) is None


def test_nothing_was_written() -> None:
    assert flaw_of_text("", truncated=False) is Flaw.EMPTY
    assert flaw_of_text(" \n\t", truncated=True) is Flaw.EMPTY


def test_cut_off() -> None:
    assert flaw_of_text("The answer is", truncated=True) is Flaw.TRUNCATED
    assert flaw_of_text("The answer is 4.", truncated=False) is None


@given(st.text(min_size=1, max_size=12), st.integers(1, 60), st.text(max_size=40), st.booleans())
def test_a_flaw_is_named_whatever_the_text(unit: str, times: int, before: str, truncated: bool) -> None:
    flaw = flaw_of_text(before + unit * times, truncated=truncated)
    assert flaw in (None, Flaw.EMPTY, Flaw.REPETITION, Flaw.TRUNCATED)
    assert truncated is False or flaw is not None


@given(st.text(alphabet="abcdefgh", min_size=3, max_size=300).filter(lambda unit: len(set(unit)) > 1))
def test_every_loop_of_letters_is_found(unit: str) -> None:
    assert flaw_of_text(unit * (200 // len(unit) + 5), truncated=True) is Flaw.REPETITION


def test_random_words_are_no_loop() -> None:
    stream = random.Random(4)
    for _ in range(200):
        text = " ".join(stream.choices(["yes", "no", "maybe", "so"], k=200))
        assert flaw_of_text(text, truncated=True) is Flaw.TRUNCATED


@pytest.mark.parametrize(
    ("logprobs", "flaw"),
    [
        ([-1.0, -2.0], None),
        ([-1.0, -math.inf], None),
        ([-1.0, math.nan], Flaw.NOT_A_NUMBER),
        ([math.inf, -1.0], Flaw.NOT_A_NUMBER),
        ([-math.inf, -math.inf], Flaw.NOT_A_NUMBER),
        ([], None),
    ],
)
def test_choices(logprobs: list[float], flaw: Flaw | None) -> None:
    assert flaw_of_choices(logprobs) is flaw
