"""Further runs against the recorded one: what is counted, and when the recorded one was lucky."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_lmeval.baselines.record import Noise
from pytest_lmeval.gate.noise import is_identical, lucky, noise_of, told
from pytest_lmeval.results import ItemResult, MetricValue, TaskResult, TaskSettings

SETTINGS = TaskSettings(
    dataset="d",
    dataset_config=None,
    split="test",
    num_fewshot=0,
    seed=1,
    limit=None,
    output_type="multiple_choice",
    generation=None,
    task_hash="t",
)


def result(scores: Sequence[float | None], margins: Sequence[float | None] | None = None) -> TaskResult:
    known = [score for score in scores if score is not None]
    items = tuple(
        ItemResult(
            index=index,
            document_hash=f"d{index}",
            prompt_hash=f"p{index}",
            target_hash=f"t{index}",
            scores={} if score is None else {"acc": score},
            margin=margins[index] if margins else None,
            prompt="",
            target="",
            answer="",
        )
        for index, score in enumerate(scores)
    )
    value = math.fsum(known) / len(known) if known else 0.0
    acc = MetricValue(name="acc", filter="none", value=value, stderr=None, higher_is_better=True, n=len(known))
    return TaskResult(
        task="rivers",
        n=len(scores),
        total=len(scores),
        metrics=(acc,),
        main_metric="acc",
        items=items,
        settings=SETTINGS,
    )


def noise(*scores: float, n: int = 1000, flips: tuple[int, ...] | None = None) -> Noise:
    return Noise(
        n=n,
        scores=scores,
        flips=flips if flips is not None else (0,) * (len(scores) - 1),
        margin_mean=None,
        margin_p95=None,
    )


def test_flips_are_counted_against_the_recorded_run() -> None:
    found = noise_of(result([1, 0, 1, 1]), [result([1, 1, 0, 1]), result([1, 0, 1, 1])])
    assert found == Noise(n=4, scores=(0.75, 0.75, 0.75), flips=(2, 0), margin_mean=None, margin_p95=None)
    assert found.runs == 2
    assert found.flip_rate == 0.25


def test_documents_are_paired_whatever_their_order() -> None:
    first = result([1, 0, 1], [0.5, -0.5, 1.0])
    other = replace(first, items=first.items[::-1])
    found = noise_of(first, [other])
    assert found.flips == (0,)
    assert found.margin_mean == found.margin_p95 == 0.0


def test_a_document_that_one_run_could_not_score_does_not_count() -> None:
    found = noise_of(result([1, 0, None, 1]), [result([0, None, 1, 1])])
    assert (found.n, found.flips) == (3, (1,))


def test_scores_that_are_no_numbers_are_equal_to_themselves() -> None:
    found = noise_of(result([math.nan, 1.0]), [result([math.nan, 1.0]), result([1.0, 1.0])])
    assert found.flips == (0, 1)


def test_what_a_baseline_would_round_away_is_no_flip() -> None:
    assert noise_of(result([1 / 3]), [result([1 / 3 + 1e-12]), result([1 / 3 + 1e-3])]).flips == (0, 1)


def test_margins_are_compared_over_all_runs() -> None:
    first = result([1, 1, 1, 1], [1.0, 2.0, None, math.inf])
    runs = [result([1, 1, 1, 1], [1.5, 2.0, 3.0, math.inf]), result([1, 1, 1, 1], [1.0, 1.0, None, math.nan])]
    moves = [0.5, 0.0, 0.0, 1.0]
    found = noise_of(first, runs)
    assert found.margin_mean == statistics.mean(moves)
    # Between the two largest of four, at 0.95 * 3 = 2.85 of the way from the first.
    assert found.margin_p95 == pytest.approx(0.5 + 0.85 * 0.5)


def test_a_single_margin_is_its_own_percentile() -> None:
    found = noise_of(result([1], [1.0]), [result([1], [1.25])])
    assert (found.margin_mean, found.margin_p95) == (0.25, 0.25)


def test_a_metric_without_scores_of_documents_has_no_flips() -> None:
    found = noise_of(result([None, None]), [result([None, None])])
    assert (found.n, found.flips, found.flip_rate) == (0, (0,), 0.0)


def test_runs_are_taken_one_at_a_time() -> None:
    alive: list[int] = []

    def runs() -> object:
        for number in range(3):
            alive.append(number)
            yield result([1, 0])

    assert noise_of(result([1, 0]), runs()).runs == 3  # type: ignore[arg-type]
    assert alive == [0, 1, 2]


@pytest.mark.parametrize(
    "found",
    [
        noise(0.700, 0.700, 0.700),
        noise(0.700, 0.710, 0.690),
        noise(0.700, 0.690, 0.700),
        # Above the mean of the others by 0.008, and they deviate by 0.0085.
        noise(0.709, 0.695, 0.707),
        noise(0.700),
        # One document of a thousand, whatever the rounding.
        noise(0.700, 0.699, flips=(3,)),
        noise(0.700, 0.699, 0.699, 0.699),
        # Of one other run, and nothing to count in: nothing is known.
        noise(30.0, 20.0, n=0),
    ],
)
def test_an_ordinary_run_is_not_lucky(found: Noise) -> None:
    assert lucky(found) is None


def test_a_lucky_run_is_told() -> None:
    assert lucky(noise(0.7120, 0.7040, 0.7061, 0.7090)) == (
        "the recorded run scored 0.7120, the 3 others 0.7040 to 0.7090: later runs will look worse than they are; "
        "record again or use more runs"
    )


def test_one_other_run_decides_by_documents() -> None:
    text = lucky(noise(0.7020, 0.7000, flips=(4,)))
    assert text is not None
    assert text.startswith("the recorded run scored 0.7020, the other 0.7000: ")


def test_lower_may_be_better() -> None:
    assert lucky(noise(12.0, 13.0, 13.1, n=0), higher_is_better=False)
    assert lucky(noise(12.0, 13.0, 13.1, n=0)) is None
    assert lucky(noise(14.0, 13.0, 13.1, n=0), higher_is_better=False) is None


@given(st.lists(st.integers(0, 200), min_size=2, max_size=6))
def test_a_lucky_run_is_better_than_every_other(counts: list[int]) -> None:
    found = noise(*(count / 200 for count in counts), n=200)
    if lucky(found):
        assert counts[0] > max(counts[1:])
        assert counts[0] - statistics.mean(counts[1:]) > 1
    mirrored = noise(*(-count / 200 for count in counts), n=200)
    assert bool(lucky(found)) == bool(lucky(mirrored, higher_is_better=False))


def test_what_the_runs_showed_is_told() -> None:
    assert told(noise(0.7, 0.7, 0.7, 0.7)) == "identical in 3 further runs"
    assert told(noise(0.7, 0.7)) == "identical in 1 further run"
    found = replace(noise(0.7, 0.69, 0.71, flips=(12, 8)), margin_mean=0.0123, margin_p95=0.05)
    assert told(found) == (
        "scores 0.6900 to 0.7100 in 2 further runs and the recorded one, 1.00% of the documents judged otherwise, "
        "margins moved by 0.012 nats on average (95 % of them by at most 0.05)"
    )


@pytest.mark.parametrize(
    "found",
    [noise(0.7, 0.71), noise(0.7, 0.7, flips=(2,)), replace(noise(0.7, 0.7), margin_mean=1e-7, margin_p95=0.0)],
    ids=["score", "flips", "margins"],
)
def test_any_difference_is_one(found: Noise) -> None:
    assert not is_identical(found)
