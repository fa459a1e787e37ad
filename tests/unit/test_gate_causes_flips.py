from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_lmeval.gate.causes.differing import Difference, Same
from pytest_lmeval.gate.causes.flips import Flip, Kind, choose_flips, count_kinds, find_flips
from pytest_lmeval.gate.causes.measure import Measure
from pytest_lmeval.gate.pairing import Pair
from pytest_lmeval.results import Flaw
from tests.unit.paired import chosen, generated, kept, lost, pair, won


def flips(pairs: list[Pair], metric: str = "acc", *, higher_is_better: bool = True) -> tuple[Flip, ...]:
    return find_flips(pairs, Measure.of(pairs, metric, higher_is_better=higher_is_better))


def the_flip(one: Pair) -> Flip:
    (flip,) = flips([one])
    return flip


def test_only_what_was_right_and_is_wrong_is_lost() -> None:
    pairs = [won(0), kept(1), lost(2), pair(3, 0.0, 0.0), lost(4)]
    assert [flip.index for flip in flips(pairs)] == [2, 4]


def test_where_less_is_better_more_is_a_loss() -> None:
    pairs = [pair(0, 0.2, 0.5), pair(1, 0.5, 0.2)]
    (flip,) = flips(pairs, higher_is_better=False)
    assert flip.index == 0
    assert flip.drop == pytest.approx(0.3)


def test_a_worse_value_is_a_loss_where_values_are_not_right_or_wrong() -> None:
    pairs = [pair(0, 0.9, 0.8), pair(1, 0.3, 0.3), pair(2, 0.1, 0.5)]
    (flip,) = flips(pairs)
    assert flip.index == 0
    assert flip.drop == pytest.approx(0.1)


def test_the_digits_that_a_baseline_does_not_keep_are_no_change() -> None:
    assert not flips([pair(0, 0.666667, 2 / 3), pair(1, 0.333333, 1 / 3)], higher_is_better=True)
    assert len(flips([pair(0, 0.666667, 0.66666)])) == 1


@pytest.mark.parametrize("flaw", [flaw for flaw in Flaw if flaw is not Flaw.ERROR])
def test_a_flaw_is_the_kind_of_the_loss(flaw: Flaw) -> None:
    assert the_flip(lost(0, flaw=flaw)).kind == flaw.value


def test_another_answer_is_wrong() -> None:
    assert the_flip(lost(0)).kind is Kind.WRONG


def test_a_flaw_that_the_old_answer_had_did_not_lose_the_document() -> None:
    assert the_flip(lost(0, flaw=Flaw.TRUNCATED, old={"flaw": Flaw.TRUNCATED})).kind is Kind.WRONG
    assert the_flip(lost(0, flaw=Flaw.TRUNCATED, old={"flaw": Flaw.REPETITION})).kind is Kind.TRUNCATED


def test_what_was_right_and_is_not_answered_is_told_but_has_no_value() -> None:
    pairs = [pair(0, 1.0, None, error="HTTP 500"), pair(1, 0.0, None, error="HTTP 500"), lost(2)]
    found = flips(pairs)
    assert [(flip.index, flip.kind, flip.scored) for flip in found] == [(0, Kind.ERROR, False), (2, Kind.WRONG, True)]
    assert (found[0].error, found[0].drop) == ("HTTP 500", None)


def test_a_value_that_is_no_number_is_none() -> None:
    flip = the_flip(pair(0, 1.0, float("nan"), flaw=Flaw.NOT_A_NUMBER))
    assert (flip.kind, flip.scored) == (Kind.NOT_A_NUMBER, False)
    assert not flips([pair(0, float("nan"), 0.0), pair(1, None, 0.0)])


def test_kinds_are_counted_the_most_frequent_first() -> None:
    pairs = [lost(0), lost(1, flaw=Flaw.EMPTY), lost(2, flaw=Flaw.EMPTY), kept(3), pair(4, 1.0, None, error="x")]
    assert list(count_kinds(pairs, "acc").items()) == [(Kind.EMPTY, 2), (Kind.WRONG, 1), (Kind.ERROR, 1)]


def test_the_old_answer_is_the_text_of_the_recorded_choice() -> None:
    flip = the_flip(chosen(7, 0, 2, old_margin=1.5, margin=-0.25))
    assert (flip.then, flip.now, flip.expected) == ("choice 0 of 7", "choice 2 of 7", "choice 0 of 7")
    assert flip.swing == pytest.approx(1.75)
    assert flip.first_difference is None


@pytest.mark.parametrize("recorded", [None, 4, 99, -1])
def test_a_choice_that_is_not_recorded_or_does_not_exist_has_no_text(recorded: int | None) -> None:
    one = chosen(7, 0, 2)
    flip = the_flip(pair(7, 1.0, 0.0, choices=one.now.choices, choice=2, old={"choice": recorded}))
    assert flip.then is None


def test_generated_answers_are_told_from_where_they_differ() -> None:
    flip = the_flip(generated(0, "It is 42 now.", "It is 45 now.", extracted="45", old_extracted="42"))
    assert (flip.then, flip.extracted_then, flip.extracted_now) == ("It is 42 now.", "42", "45")
    assert isinstance(flip.first_difference, Difference)
    assert (flip.first_difference.then, flip.first_difference.now) == ("42", "45")


def test_of_an_old_answer_only_what_was_recorded_is_compared() -> None:
    start = "so it goes on, " * 40
    assert the_flip(generated(0, f"{start}42", f"{start}45")).first_difference is Same.RECORDED
    assert the_flip(generated(0, "It is 42", "It is 42")).first_difference is Same.WHOLE
    # Cut within a word, which goes on differently only later.
    assert the_flip(generated(0, "x" * 300, "x" * 250)).first_difference is Same.RECORDED


def test_without_an_old_answer_there_is_no_difference() -> None:
    flip = the_flip(lost(0, answer="It is 45"))
    assert (flip.then, flip.extracted_then, flip.first_difference) == (None, None, None)


def test_the_largest_fall_of_a_margin_is_shown_first() -> None:
    pairs = [chosen(at, 0, 1, old_margin=fall, margin=-0.1) for at, fall in enumerate([0.1, 3.0, 0.5, 2.0])]
    assert [flip.index for flip in choose_flips(flips(pairs), 3)] == [1, 3, 2]


def test_texts_that_differ_early_are_shown_first() -> None:
    pairs = [
        generated(0, "one two three 42", "one two three 45"),
        generated(1, "one 42", "one 45"),
        generated(2, "one two 42", "one two 45"),
        lost(3),
    ]
    assert [flip.index for flip in choose_flips(flips(pairs), 4)] == [1, 2, 0, 3]


def test_every_kind_has_its_turn_and_what_has_no_value_comes_last() -> None:
    pairs = [
        lost(0),
        pair(1, 1.0, None, error="HTTP 500"),
        *(lost(at, flaw=Flaw.TRUNCATED) for at in (2, 3, 4)),
        lost(5),
    ]
    assert [flip.index for flip in choose_flips(flips(pairs), 6)] == [2, 0, 3, 5, 4, 1]
    assert len(choose_flips(flips(pairs), 2)) == 2
    assert choose_flips((), 3) == ()


FLAWS = st.none() | st.sampled_from(Flaw)
ANSWERS = st.text(max_size=8)


@given(
    st.lists(st.tuples(ANSWERS, ANSWERS, FLAWS, st.sampled_from([0.0, 1.0]), st.sampled_from([0.0, 1.0, None]))),
    st.randoms(use_true_random=False),
)
@settings(max_examples=50)
def test_the_order_of_the_pairs_makes_no_difference(
    rows: list[tuple[str, str, Flaw | None, float, float | None]], shuffler: random.Random
) -> None:
    pairs = [
        pair(at, then, now, old={"answer": before}, answer=after, flaw=flaw)
        for at, (before, after, flaw, then, now) in enumerate(rows)
    ]
    shuffled = shuffler.sample(pairs, len(pairs))
    assert flips(shuffled) == flips(pairs)
    assert choose_flips(flips(shuffled), 3) == choose_flips(flips(pairs), 3)
    assert sum(count_kinds(pairs, "acc").values()) == len(flips(pairs))
