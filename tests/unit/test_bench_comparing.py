from __future__ import annotations

import pytest

from benchmarks.scoring.comparing import Difference, compare


def nats(*values: float) -> list[list[object]]:
    return [[value, False] for value in values]


def test_the_largest_difference_and_the_documents_with_another_choice() -> None:
    ours = nats(-1.0, -2.0, -3.0, -1.0, -5.0, -4.0)
    peer = nats(-1.5, -2.0, -1.0, -3.0, -5.0, -4.0)
    expected = Difference(documents=3, logprob=2.0, choices=1, ties=0)
    assert compare("loglikelihood", ours, peer, [2, 2, 2]) == expected


def test_choices_that_rounding_decides_are_ties() -> None:
    found = compare("loglikelihood", nats(-1.0, -1.0004), nats(-1.0003, -1.0), [2])
    assert (found.choices, found.ties) == (1, 1)


def test_documents_have_choices_of_their_own_number() -> None:
    found = compare("loglikelihood", nats(-1, -2, -3, -9, -8), nats(-1, -2, -3, -8, -9), [3, 2])
    assert (found.choices, found.documents) == (1, 2)


def test_a_single_continuation_is_no_choice() -> None:
    assert compare("loglikelihood", nats(-1.0, -2.0), nats(-1.0, -2.5), [1, 1]) == Difference(documents=2, logprob=0.5)


def test_whole_texts_and_generated_ones() -> None:
    assert compare("loglikelihood_rolling", [-99.0, -10.0], [-100.0, -10.0], [1, 1]).relative == pytest.approx(0.01)
    assert compare("generate_until", ["a", "b"], ["a", "c"], [1, 1]) == Difference(documents=2, texts=1)


def test_lists_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="2 answers, 1 of the peer"):
        compare("loglikelihood", nats(-1, -2), nats(-1), [2])
