from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pytest_lmeval.gate.causes.differing import COMPARED, CONTEXT, Difference, Same, first_difference, tokens

# Whatever a model may write: other scripts, marks, controls, lone surrogates.
TEXTS = st.text(st.characters(exclude_categories=()), max_size=60)


def words(text: str) -> list[str]:
    return [match[0] for match in tokens(text)]


def difference(then: str, now: str) -> Difference:
    found = first_difference(then, now)
    assert isinstance(found, Difference)
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("so 6 x 7 = 42.", ["so", " ", "6", " ", "x", " ", "7", " ", "=", " ", "42", "."]),
        ("$1,234.50 (3/4)", ["$", "1,234.50", " ", "(", "3", "/", "4", ")"]),
        ("two\n\n  lines", ["two", "\n\n  ", "lines"]),
        ("naïve cafe\u0301s", ["naïve", " ", "cafe\u0301s"]),
        ("हिन्दी भाषा", ["हिन्दी", " ", "भाषा"]),
        ("答案是42", ["答", "案", "是", "42"]),
        ("«да»", ["«", "да", "»"]),
        ("x_1", ["x", "_", "1"]),
        ("", []),
    ],
)
def test_texts_are_split_into_words_numbers_whitespace_and_other_characters(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@given(TEXTS)
def test_the_tokens_together_are_the_text(text: str) -> None:
    assert "".join(words(text)) == text


def test_the_first_differing_token_stands_between_what_precedes_and_follows_it() -> None:
    found = difference("6 rows of 7, so 42 apples.", "6 rows of 7, so 45 apples!")
    assert found == Difference(
        position=11, before="6 rows of 7, so ", then="42", now="45", after_then=" apples.", after_now=" apples!"
    )


def test_a_longer_word_and_a_longer_number_are_other_tokens() -> None:
    assert (difference("the cat", "the cats").then, difference("the cat", "the cats").now) == ("cat", "cats")
    assert (difference("is 4", "is 42").then, difference("is 4", "is 42").now) == ("4", "42")


def test_where_one_text_ends_there_is_no_token() -> None:
    ended, went_on = difference("42 apples", "42"), difference("42", "42 apples")
    assert (ended.then, ended.now, ended.after_then) == (" ", "", "apples")
    assert (went_on.then, went_on.now, went_on.after_now) == ("", " ", "apples")


def test_whitespace_alone_is_a_difference() -> None:
    assert (difference("a\nb", "a b").then, difference("a\nb", "a b").now) == ("\n", " ")


def test_a_text_is_the_same_as_itself() -> None:
    assert first_difference("", "") is first_difference("some text", "some text") is Same.WHOLE


def test_only_the_beginning_of_megabytes_is_compared() -> None:
    long = "word " * 400_000
    assert first_difference(f"{long}a", f"{long}b") is Same.COMPARED
    assert first_difference("x" * 2_000_000, "x" * 2_000_000) is Same.WHOLE
    early = difference(f"a{long}", f"b {long}")
    assert (early.position, len(early.after_now)) == (0, CONTEXT)


def test_a_token_is_never_long() -> None:
    found = difference("x" * 1_000_000, "x" * 100 + "y" * 1_000_000)
    assert max(len(found.then), len(found.now), len(found.before), len(found.after_then)) <= CONTEXT


@given(TEXTS, TEXTS, TEXTS)
@example("a", "b", "b\u0301")
def test_what_is_found_is_there(start: str, then: str, now: str) -> None:
    old, new = start + then, start + now
    found = first_difference(old, new)
    if not isinstance(found, Difference):
        assert old == new
        return
    assert old != new
    assert found.then != found.now
    at = len("".join(words(old)[: found.position]))
    assert words(old)[: found.position] == words(new)[: found.position]
    assert found.before == old[max(0, at - CONTEXT) : at]
    assert old[at:].startswith(found.then + found.after_then)
    assert new[at:].startswith(found.now + found.after_now)


@given(TEXTS, TEXTS)
def test_the_other_way_round_it_is_the_same_place(then: str, now: str) -> None:
    one, other = first_difference(then, now), first_difference(now, then)
    if isinstance(one, Difference) and isinstance(other, Difference):
        assert (one.position, one.then, one.now) == (other.position, other.now, other.then)
    else:
        assert one is other


def test_a_difference_just_within_what_is_compared_is_found() -> None:
    start = " " * (COMPARED - 1)
    assert isinstance(first_difference(f"{start}a", f"{start}b"), Difference)
    assert first_difference(f"{start} a", f"{start} b") is Same.COMPARED
