from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_lmeval.baselines.texts import ANSWER_BYTES, EXTRACTED_BYTES, kept_answer, kept_extracted, spelled

# Lone surrogates are replaced: they have tests of their own.
any_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)


@given(any_text)
def test_a_spelled_text_is_json_on_one_printable_line(text: str) -> None:
    assert json.loads(spelled(text)) == text
    assert spelled(text).isprintable()


@given(any_text)
def test_a_kept_text_is_a_beginning_that_fits_and_comes_back(text: str) -> None:
    kept = kept_answer(text)
    assert kept == text[: len(kept)]
    assert len(spelled(kept).encode()) <= ANSWER_BYTES + 2
    assert kept_answer(kept) == kept
    following = text[: len(kept) + 1]
    assert following == kept or len(spelled(following).encode()) > ANSWER_BYTES + 2


def test_plain_english_keeps_its_first_characters() -> None:
    assert kept_answer("a" * 500) == "a" * 200
    assert kept_extracted("a" * 500) == "a" * 60
    assert (ANSWER_BYTES, EXTRACTED_BYTES) == (200, 60)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("水" * 100, "水" * 66),
        ("\n" * 150, "\n" * 100),
        ("\x1b[31m" + "\x00" * 100, "\x1b[31m" + "\x00" * 31),
        ("\ud83d\ude00", "\ufffd\ufffd"),
        ("", ""),
    ],
    ids=["wide", "escaped", "controls", "surrogates", "empty"],
)
def test_other_texts_keep_what_fits(text: str, kept: str) -> None:
    assert kept_answer(text) == kept


@pytest.mark.parametrize("text", ["\x1b[2J", "a\u202eb", "\u2028", "\x9b", "\x7f", "\u200b"])
def test_nothing_that_a_terminal_or_a_reader_would_fall_for_is_written_as_it_is(text: str) -> None:
    assert "\\u" in spelled(text)
    assert spelled(text).isascii()
