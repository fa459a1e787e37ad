from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_lmeval.gate.causes.account import account
from pytest_lmeval.gate.causes.quoting import columns, quoted, quoted_end, spelled, spelled_end
from pytest_lmeval.gate.causes.text import COLUMNS, MORE_SLICES, SHOWN_FLIPS, _wrapped, account_lines
from pytest_lmeval.gate.pairing import Pair
from pytest_lmeval.results import Flaw
from tests.unit.paired import chosen, generated, kept, lost, pair, won

HOSTILE = "\x1b[2J\x1b]0;title\x07\r\n\u202egnp.exe\u2028\u200b\x00\ud800 \\x1b ok"
TEXTS = st.text(st.characters(exclude_categories=()), max_size=200)


def lines(pairs: list[Pair], verbosity: int = 0, **options: Any) -> list[str]:
    return account_lines(account(pairs, "acc", options.pop("higher_is_better", True)), verbosity=verbosity)


def text(pairs: list[Pair], verbosity: int = 0) -> str:
    return "\n".join(lines(pairs, verbosity))


def check_fit(shown: list[str]) -> None:
    assert max(map(columns, shown)) <= COLUMNS
    assert all(line.isprintable() for line in shown)


def test_nothing_is_said_where_nothing_got_worse() -> None:
    assert lines([won(0), kept(1)]) == lines([]) == []


def test_a_lost_choice_is_told_in_full() -> None:
    assert lines([chosen(7, 0, 2, old_margin=1.5, margin=-0.25), won(8)]) == [
        "1 of 2 documents lost (right before, wrong now), 1 gained",
        "of these: 1 answered otherwise",
        "document 7: expected 'choice 0 of 7'",
        "  asked 'Question 7?\\nA:'",
        "  then  'choice 0 of 7', margin +1.50",
        "  now   'choice 2 of 7', margin -0.25",
    ]


def test_both_choices_are_shown_with_their_log_probabilities() -> None:
    one = chosen(7, 0, 1, old_margin=1.5, margin=-0.75, logprobs=(-2.0, -1.25), count=2)
    assert lines([one])[-3:] == [
        "  then  'choice 0 of 7', margin +1.50",
        "  now   'choice 1 of 7', margin -0.75",
        "  log p 'choice 1 of 7' -1.25, 'choice 0 of 7' -2",
    ]


def test_what_looks_like_a_mark_is_none() -> None:
    shown = lines([generated(3, "so [-a-] {+b+} 1", "so [-a-] {+b+} 2")])
    assert shown[-2:] == [
        r"  then  so [\x2da\x2d] {\x2bb\x2b} [-1-]",
        r"  now   so [\x2da\x2d] {\x2bb\x2b} {+2+}",
    ]


def test_no_line_is_a_command_of_a_workflow() -> None:
    shown = _wrapped("x" * 70 + " ::error::pwned by " + "y" * 20)
    assert shown == ["x" * 70, r"  \x3a:error::pwned by " + "y" * 20]


def test_another_metrics_choice_may_be_the_same() -> None:
    one = pair(0, 1.0, 0.0, choices=("yes", "no"), choice=1, answer="no", old={"choice": 1})
    assert lines([one])[-1] == "  chosen as before 'no'"


def test_a_worse_value_is_told() -> None:
    assert lines([pair(7, 0.75, 0.5), pair(8, 0.5, 0.5)])[:3] == [
        "1 of 2 documents worse, 0 better",
        "of these: 1 answered otherwise",
        "document 7, worse by 0.25: expected '42'",
    ]


def test_a_lost_text_is_marked_where_it_differs() -> None:
    one = generated(3, "There are 42 apples.", "There are 45 apples.", extracted="45", old_extracted="42")
    assert lines([one])[2:] == [
        "document 3: expected '42'",
        "  asked 'Question 3?\\nA:'",
        "  found then '42', now '45'",
        "  then  There are [-42-] apples.",
        "  now   There are {+45+} apples.",
    ]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("42 it is", "42", ["  then  42[- it is-]", "  now   42"]),
        ("42", "42\n\nNext", ["  then  42", "  now   42{+\\n\\nNext+}"]),
        ("a\nb", "a b", ["  then  a[-\\n-]b", "  now   a{+ +}b"]),
        ("42", "42", ["  asked 'Question 3?\\nA:'", "  text  '42': the same text"]),
    ],
)
def test_where_one_text_ends_the_rest_of_the_other_is_marked(before: str, after: str, expected: list[str]) -> None:
    assert lines([generated(3, before, after)])[-2:] == expected


def test_what_is_the_same_as_far_as_recorded_is_called_so() -> None:
    start = "so it goes on, " * 40
    assert "the same as far as it was recorded" in text([generated(0, f"{start}42", f"{start}45")])


def test_a_baseline_without_answers_tells_what_is_known_of_them() -> None:
    assert lines([lost(0)])[-2:] == ["  then  right", "  now   'an answer'"]
    assert "  then  right" in lines([pair(0, 1.0, 0.0, choices=("yes", "no"), choice=1, answer="no")])
    assert "  found then right, now '45'" in lines([lost(0, answer="It is 45", extracted="45")])
    assert "  then  not recorded" in lines([pair(0, 0.8, 0.5)])


def test_kinds_and_ends_of_flawed_answers_are_shown() -> None:
    one = generated(0, "It is 42", "It is " + "and so on " * 50, flaw=Flaw.TRUNCATED)
    shown = lines([one, lost(1, flaw=Flaw.EMPTY, answer=""), lost(2), lost(3)])
    assert "of these: 2 answered otherwise, 1 cut off by the token limit, 1 empty" in shown
    assert "document 0 (truncated): expected '42'" in shown
    assert any(line.startswith("  ends  ...'") and line.endswith("and so on '") for line in shown)


def test_an_unanswered_document_is_told_apart_and_shows_its_error() -> None:
    shown = lines([pair(0, 1.0, None, error="HTTP 500: try again", flaw=Flaw.ERROR), kept(1)])
    assert shown[:2] == [
        "0 of 1 documents lost (right before, wrong now), 0 gained",
        "without a value now, so neither right nor wrong: 1 more",
    ]
    assert "document 0 (error): expected '42'" in shown
    assert "  error 'HTTP 500: try again'" in shown


def test_the_likely_cause_stands_before_the_documents() -> None:
    shown = lines([*(lost(at, flaw=Flaw.EMPTY) for at in range(5)), *(kept(at) for at in range(10, 90))])
    assert " ".join(shown[2:4]).startswith("likely cause: 5 of 5 lost documents, but 0 of 80 kept ones, have an empty")


def documents(shown: list[str]) -> int:
    return sum(line.startswith("document ") for line in shown)


def test_more_verbosity_shows_more_documents() -> None:
    pairs = [lost(at) for at in range(25)]
    assert documents(lines(pairs)) == SHOWN_FLIPS
    assert lines(pairs)[-1] == "22 more, all shown with -vv"
    assert documents(lines(pairs, 1)) == SHOWN_FLIPS
    assert documents(lines(pairs, 2)) == documents(lines(pairs, 3)) == 25
    assert "more, all" not in text(pairs, 2)


def sliced(losses: dict[str, int], of: int = 100) -> list[Pair]:
    values = list(losses)
    return [
        (lost if at // len(values) < losses[value] else kept)(at, facets={"topic": value})
        for at in range(of * len(values))
        for value in [values[at % len(values)]]
    ]


def slices(shown: list[str]) -> list[str]:
    return [line for line in shown if line.startswith("slice ")]


def test_a_slice_that_stands_out_is_shown_without_being_asked_for() -> None:
    shown = lines(sliced({"law": 20, "maths": 0}))
    assert " ".join(line.strip() for line in shown).count(
        "slice topic = 'law': -20.00 points (20 worse, 0 better of 100; the others +0.00 points; q < 0.001)"
    )
    assert len(slices(shown)) == 1


def test_other_slices_are_shown_when_asked_for() -> None:
    pairs = sliced({"a": 1, "b": 0, "c": 1, "d": 0})
    assert not slices(lines(pairs))
    assert len(slices(lines(pairs, 1))) == len(slices(lines(pairs, 2))) == 4
    crowd = sliced(dict.fromkeys("abcdefghijklmnop", 1), of=20)
    assert len(slices(lines(crowd, 1))) == MORE_SLICES
    assert "4 more slices, all shown with -vv" in lines(crowd, 1)
    assert len(slices(lines(crowd, 2))) == 16


def test_a_drop_that_is_the_same_everywhere_is_called_even() -> None:
    even = "spread evenly: no slice moved more than the others by topic, beyond chance"
    clear, small = sliced({"a": 20, "b": 21}), sliced({"a": 1, "b": 1})
    assert even in lines(clear)
    assert not slices(lines(clear))
    assert even in lines(small, 1)
    assert even not in lines(small)


def test_small_slices_are_mentioned_when_asked_for() -> None:
    pairs = [*sliced({"a": 2, "b": 1}), lost(900, facets={"topic": "rare"})]
    assert "slices of fewer than 5 documents, not tested: 1" in lines(pairs, 1)


@pytest.mark.parametrize("size", [1, 1_000_000])
def test_untrusted_texts_neither_act_on_the_terminal_nor_fill_it(size: int) -> None:
    wild = HOSTILE * (1 + size // len(HOSTILE))
    pairs = [
        generated(0, wild, f"{wild} now", extracted=f"{wild}1", old_extracted=wild, target=wild, prompt=wild),
        generated(1, "fine", wild, flaw=Flaw.TRUNCATED),
        generated(2, wild, ""),
        chosen(3, 0, 1, choices=(wild, f"{wild}1")),
        pair(4, 1.0, None, error=wild),
        *(lost(at, facets={wild: wild}, answer=wild) for at in range(10, 30)),
        *(kept(at, facets={wild: "fine"}) for at in range(30, 50)),
    ]
    for verbosity in range(3):
        check_fit(lines(pairs, verbosity))
    assert "\\x1b[2J" in text(pairs, 2)
    assert "\\u202e" in text(pairs, 2)


@given(TEXTS, TEXTS, TEXTS, st.sampled_from([None, *Flaw]))
@settings(max_examples=30)
def test_whatever_is_answered_fits(before: str, after: str, other: str, flaw: Flaw | None) -> None:
    pairs = [
        generated(0, before, after, flaw=flaw, extracted=other, target=before, prompt=after),
        generated(1, before + other, before + after),
        chosen(2, 0, 1, choices=(before, after, other)),
        *(lost(at, facets={before: after}) for at in range(10, 16)),
        *(kept(at, facets={before: other}) for at in range(20, 26)),
    ]
    check_fit(lines(pairs, 2))


@given(TEXTS, st.integers(10, 60))
def test_quoted_texts_are_cut_to_columns_and_nothing_is_hidden(value: str, width: int) -> None:
    for cut in (quoted, quoted_end, spelled, spelled_end):
        shown = cut(value, width)
        assert columns(shown) <= width
        assert shown.isprintable()
        whole = repr(value) if cut in (quoted, quoted_end) else None
        if whole is not None and columns(whole) <= width and len(value) <= width:
            assert shown == whole
        elif whole is not None:
            assert "..." in shown


def test_wide_and_combining_characters_take_their_columns() -> None:
    assert (columns("漢字"), columns("e\u0301"), columns("\u0301" * 50), columns("abc")) == (4, 1, 0, 3)
    assert quoted("漢" * 50, 20) == f"'{'漢' * 7}'..."
    assert len(quoted("\u0301" * 1_000_000, 20)) < 40
    assert unicodedata.east_asian_width(quoted_end("漢" * 50, 20)[-2]) == "W"


def test_what_is_cut_is_what_is_at_the_other_end() -> None:
    value = "".join(chr(97 + at % 26) for at in range(100))
    assert quoted(value, 15) == "'abcdefghij'..."
    assert quoted_end(value, 15) == "...'mnopqrstuv'"
    assert spelled(value, 15) == "abcdefghijkl..."
    assert spelled_end(value, 15) == "...klmnopqrstuv"
