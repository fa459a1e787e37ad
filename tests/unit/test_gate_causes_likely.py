from __future__ import annotations

import random
from typing import Any

import pytest

from pytest_lmeval.gate.causes.account import Account, account
from pytest_lmeval.gate.causes.flips import Kind
from pytest_lmeval.gate.causes.preference import find_preference
from pytest_lmeval.gate.pairing import Pair
from pytest_lmeval.results import Flaw
from tests.unit.paired import chosen, generated, kept, lost, pair, won


def accounted(pairs: list[Pair]) -> Account:
    return account(pairs, "acc", higher_is_better=True)


def cause(pairs: list[Pair]) -> str:
    return accounted(pairs).cause or ""


def many(make: Any, count: int, start: int = 0, **facts: Any) -> list[Pair]:
    return [make(start + at, **facts) for at in range(count)]


def test_an_account_counts_what_changed() -> None:
    pairs = [*many(lost, 4), *many(won, 2, 10), *many(kept, 9, 20), pair(40, 1.0, None, error="x")]
    found = accounted(pairs)
    assert (found.documents, found.regressed, found.improved, found.unanswered) == (15, 4, 2, 1)
    assert found.kinds == {Kind.WRONG: 4, Kind.ERROR: 1}
    assert len(found.flips) == 5


def test_nothing_is_said_where_nothing_was_lost_or_nothing_stands_out() -> None:
    assert accounted([]).cause is None
    assert accounted(many(kept, 20)).cause is None
    assert accounted([*many(lost, 6), *many(kept, 50, 10)]).cause is None


@pytest.mark.parametrize(
    ("flaw", "words"),
    [
        (Flaw.TRUNCATED, "17 of 23 lost documents, but 3 of 540 kept ones, were cut off by the token limit"),
        (Flaw.EMPTY, "17 of 23 lost documents, but 3 of 540 kept ones, have an empty answer"),
        (Flaw.REPETITION, "have an answer that goes round in circles"),
        (Flaw.NOT_A_NUMBER, "have log-probabilities that are not numbers"),
    ],
)
def test_a_flaw_of_most_lost_documents_is_the_cause(flaw: Flaw, words: str) -> None:
    pairs = [
        *many(lost, 17, flaw=flaw),
        *many(lost, 6, 20),
        *many(kept, 3, 30, flaw=flaw),
        *many(kept, 537, 40),
    ]
    assert words in cause(pairs)


def test_an_answer_in_which_the_filter_finds_nothing_means_another_form() -> None:
    pairs = [*many(lost, 12, flaw=Flaw.NOT_EXTRACTED), *many(lost, 8, 20), *many(kept, 80, 30)]
    assert cause(pairs) == (
        "12 of 20 lost documents have an answer, but the filter finds none in it: the form of the answers changed"
    )


def test_a_flaw_that_kept_documents_have_as_often_is_no_cause() -> None:
    pairs = [*many(lost, 20, flaw=Flaw.TRUNCATED), *many(kept, 200, 30, flaw=Flaw.TRUNCATED)]
    assert cause(pairs) == ""


def test_a_flaw_of_fewer_than_half_or_of_two_is_no_cause() -> None:
    assert cause([*many(lost, 9, flaw=Flaw.EMPTY), *many(lost, 11, 20), *many(kept, 500, 50)]) == ""
    assert cause([*many(lost, 2, flaw=Flaw.EMPTY), *many(kept, 500, 50)]) == ""


def test_a_flaw_from_before_is_no_cause() -> None:
    pairs = [*many(lost, 20, flaw=Flaw.TRUNCATED, old={"flaw": Flaw.TRUNCATED}), *many(kept, 200, 30)]
    assert cause(pairs) == ""


def test_where_everything_was_lost_there_is_nothing_to_compare_with() -> None:
    assert cause(many(lost, 30, flaw=Flaw.EMPTY)).startswith("30 of 30 lost documents have an empty answer")


def test_the_same_answers_are_judged_otherwise() -> None:
    pairs = [*(generated(at, "It is 42", "It is 42") for at in range(6)), lost(10), *many(kept, 50, 20)]
    assert cause(pairs).startswith("6 of 7 lost documents have the same answer as before")


def test_what_agrees_only_as_far_as_it_was_recorded_is_not_called_the_same() -> None:
    start = "so it goes on, " * 40
    pairs = [*(generated(at, f"{start}42", f"{start}45") for at in range(6)), *many(kept, 50, 20)]
    assert cause(pairs) == ""


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        ("42", "**42.**", True),
        ("Paris", " paris\n", True),
        ("New  York", "new york", True),
        ("5", "-5", False),
        ("4.2", "42", False),
        ("5", "5 %", False),
        ("Paris", "Paris, France", False),
        (".", "!", False),
    ],
)
def test_the_same_answer_in_another_form_is_told(before: str, after: str, same: bool) -> None:
    pairs = [*(generated(at, before, after) for at in range(6)), *many(kept, 50, 20)]
    expected = "6 of 6 lost documents have the same answer in another form (case, spaces or punctuation around it)"
    assert cause(pairs) == (expected if same else "")
    drawn = [
        *(generated(at, "so it is", "it is now", extracted=after, old_extracted=before) for at in range(6)),
        *many(kept, 50, 20),
    ]
    assert cause(drawn) == (expected if same else "")


def test_the_form_of_answers_that_were_cut_is_not_judged() -> None:
    start = "so it goes on, " * 40
    assert cause([*(generated(at, start, f"{start.title()}42") for at in range(6)), *many(kept, 50, 20)]) == ""
    assert cause([*(lost(at, answer="yes.") for at in range(6)), *many(kept, 50, 20)]) == ""


def test_more_errors_than_losses_come_first() -> None:
    pairs = [*(pair(at, 1.0, None, error="HTTP 500") for at in range(9)), *many(lost, 3, 20, flaw=Flaw.EMPTY)]
    assert cause(pairs).startswith("9 documents that had a value have none now, more than got worse (3)")


def test_changes_in_both_directions_are_no_direction() -> None:
    pairs = [*many(lost, 52), *many(won, 50, 60), *many(kept, 900, 200)]
    assert cause(pairs).startswith("documents change both ways (52 lost, 50 gained)")
    assert cause([*many(lost, 52), *many(won, 22, 60), *many(kept, 900, 200)]) == ""
    assert cause([*many(lost, 4), *many(won, 4, 60), *many(kept, 900, 200)]) == ""


def letters(index: int, before: int, after: int, **facts: Any) -> Pair:
    return chosen(index, before, after, gold=before, choices=(" A", " B", " C", " D"), **facts)


def test_a_place_that_the_model_came_to_prefer_is_named_by_its_letter() -> None:
    pairs = [letters(at, at % 4, 0 if at % 2 else at % 4) for at in range(200)]
    assert cause(pairs) == (
        "the model now prefers choice 'A': in 75 % of the documents (was 25 %), and in 100 of 100 lost ones"
    )


def test_a_place_without_a_letter_is_named_by_its_number() -> None:
    pairs = [chosen(at, at % 4, 2 if at % 2 else at % 4, gold=at % 4) for at in range(200)]
    assert "the model now prefers the choice in place 3: in 75 % of the documents (was 25 %)" in cause(pairs)


def test_choices_that_change_at_random_are_no_preference() -> None:
    chance = random.Random(1)
    pairs = [letters(at, chance.randrange(4), chance.randrange(4)) for at in range(400)]
    assert find_preference(pairs) is None


def test_a_preference_needs_recorded_choices() -> None:
    assert find_preference([]) is None
    assert find_preference([chosen(at, None, 0) for at in range(100)]) is None


def test_the_p_of_a_preference_is_that_of_the_moves_times_the_places() -> None:
    pairs = [letters(at, 1 + at % 3, 0) for at in range(12)] + [letters(at, 0, 0) for at in range(20, 30)]
    found = find_preference(pairs)
    assert found is not None
    # Twelve moves to it, none away: 2 sides * (1/2)^12 / 2 * 4 places.
    assert found.p == pytest.approx(4 / 2**12)
    assert (found.now, found.n) == (1.0, 22)
    assert found.then == pytest.approx(10 / 22)


def test_slices_that_moved_more_than_the_others_are_named() -> None:
    pairs = [
        (lost if at % 5 == 0 and at % 2 else kept)(at, facets={"topic": "odd" if at % 2 else "even"})
        for at in range(400)
    ]
    assert cause(pairs) == "documents with topic = 'odd' moved most: -20.00 points in 200, +0.00 points in the others"


def test_lengths_are_told_as_lengths_where_each_quarter_lost_more_than_the_last() -> None:
    def asked(at: int) -> Pair:
        quarter = 1 + at % 4
        return (lost if (at // 4) % 20 < 3 * (quarter - 1) else kept)(at, facets={"prompt length": f"{quarter} of 4"})

    assert cause([asked(at) for at in range(400)]) == (
        "the longer the prompt, the larger the loss: -45.00 points in the longest quarter, +0.00 points in the shortest"
    )


def test_lost_documents_that_were_close_calls_are_told() -> None:
    pairs = [
        *(chosen(at, 0, 1 + at % 3, old_margin=0.01 * (1 + at), margin=-0.05) for at in range(20)),
        *(chosen(at, 0, 0, old_margin=0.02 * at, margin=1.0) for at in range(20, 120)),
    ]
    assert cause(pairs).startswith("20 of 20 lost documents were among the quarter of which the model had been least")
    sure = [
        *(chosen(at, 0, 1 + at % 3, old_margin=3.0, margin=-0.05) for at in range(20)),
        *(chosen(at, 0, 0, old_margin=0.02 * at, margin=1.0) for at in range(20, 120)),
    ]
    assert cause(sure) == ""
    alike = [
        *(chosen(at, 0, 1 + at % 3, old_margin=1.0, margin=-0.05) for at in range(20)),
        *(chosen(at, 0, 0, old_margin=1.0, margin=1.0) for at in range(20, 120)),
    ]
    assert cause(alike) == ""


@pytest.mark.parametrize(("part", "before", "after"), [("numerator", -10.0, -12.0), ("item", 1.0, 0.0)])
def test_metrics_of_the_whole_are_accounted_for_by_what_is_kept_of_documents(
    part: str, before: float, after: float
) -> None:
    pairs = [pair(0, before, after, metric=f"m/{part}"), pair(1, before, before, metric=f"m/{part}")]
    found = account(pairs, "m", higher_is_better=False)
    assert (found.documents, found.regressed, found.improved) == (2, 1, 0)


def test_without_values_of_documents_the_account_is_empty() -> None:
    found = account([lost(0), lost(1)], "bleu", higher_is_better=True)
    assert (found.documents, found.flips, found.cause) == (0, (), None)


def test_the_order_of_the_pairs_makes_no_difference() -> None:
    chance = random.Random(7)
    pairs = [
        letters(at, at % 4, chance.randrange(4), facets={"topic": str(at % 3)}, old_margin=chance.random())
        for at in range(200)
    ]
    assert accounted(chance.sample(pairs, len(pairs))) == accounted(pairs)
    # The same document in two tasks of a group.
    twice = [generated(1, "a b", "a c"), generated(1, "a b", "d", flaw=Flaw.EMPTY, document_hash="f" * 64)]
    assert accounted(twice) == accounted(twice[::-1])


def test_margins_that_tie_have_no_least_sure_quarter() -> None:
    pairs = [
        *(chosen(at, 0, 1 + at % 3, old_margin=1.0, margin=-1.0) for at in range(13)),
        *(chosen(at, 0, 0, old_margin=1.0, margin=1.0) for at in range(13, 40)),
    ]
    assert "least sure" not in cause(pairs)
