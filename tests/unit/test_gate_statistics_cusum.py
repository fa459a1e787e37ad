"""Slow drift: the sum against its definition, its false alarms against theory, and where a slide began."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_lmeval.gate.statistics.cusum import ALLOWANCE, DECISION, cusum, decision_for, paired_step, slide

STEPS = st.lists(st.floats(-4, 4), min_size=1, max_size=60)


@given(STEPS)
def test_the_sum_is_the_largest_fall_up_to_now(steps: list[float]) -> None:
    # Unrolled, the recursion is the largest sum of the last steps, or nothing.
    falls = [-step - ALLOWANCE for step in steps]
    expected = [max(0.0, *(math.fsum(falls[at : end + 1]) for at in range(end + 1))) for end in range(len(falls))]
    assert cusum(steps) == pytest.approx(expected, abs=1e-9)


@given(STEPS)
def test_a_slide_began_where_the_fall_is_largest(steps: list[float]) -> None:
    found = slide(steps, decision=1.0)
    if found is None:
        assert cusum(steps)[-1] < 1.0
    else:
        fall = sum(-step - ALLOWANCE for step in steps[found.start :])
        assert fall == pytest.approx(found.height)
        assert found.height >= 1.0


def run_lengths(decision: float, drift: float = 0.0, chains: int = 4000) -> float:
    """Average number of runs until the first signal, of many simulated chains."""
    rng = np.random.default_rng(20)
    sums, lengths, alive = np.zeros(chains), np.zeros(chains), np.ones(chains, dtype=bool)
    while alive.any():
        sums[alive] = np.maximum(0, sums[alive] - rng.normal(drift, 1, alive.sum()) - ALLOWANCE)
        lengths[alive] += 1
        alive &= sums < decision
    return float(lengths.mean())


def siegmund(decision: float, allowance: float = ALLOWANCE) -> float:
    """Average run length without drift, approximated (Siegmund 1985): the barrier is passed by 0.583 on each side."""
    b = 2 * allowance * (decision + 2 * 0.583)
    return (math.exp(b) - b - 1) / (2 * allowance**2)


@pytest.mark.parametrize(("decision", "expected"), [(4.0, 336), (DECISION, 930)])
def test_how_long_an_unchanged_model_stays_silent(decision: float, expected: float) -> None:
    # One standard error of the simulation is 1.6 %.
    assert run_lengths(decision) == pytest.approx(expected, rel=0.06)
    assert siegmund(decision) == pytest.approx(expected, rel=0.02)


def test_many_series_together_are_as_silent_as_one() -> None:
    assert decision_for(0) == decision_for(1) == DECISION
    for series in (5, 60, 800):
        assert siegmund(decision_for(series)) / series == pytest.approx(siegmund(DECISION), rel=0.02)


def test_a_drift_of_a_standard_error_a_run_is_found_in_ten() -> None:
    assert run_lengths(DECISION, drift=-1.0) == pytest.approx(10.4, abs=0.5)
    assert run_lengths(DECISION, drift=-2.0) < 5


def test_steps_are_mcnemars_statistic() -> None:
    then = np.array([1, 1, 1, 1, 0, 0, 1, 0])
    now = np.array([0, 0, 0, 1, 1, 0, 1, 0])
    assert paired_step(then, now) == pytest.approx((1 - 3) / math.sqrt(4))
    assert paired_step(now, then) == pytest.approx(1.0)
    assert paired_step(then, then) == 0.0
    # What has no score in one of them is left out.
    assert paired_step([1.0, np.nan, 0.5], [0.5, 1.0, 0.5]) == -1.0
    assert paired_step([np.nan], [1.0]) == 0.0
    with pytest.raises(ValueError, match="not the same documents"):
        paired_step([1.0], [1.0, 0.0])


def test_a_slide_is_told_while_it_lasts_and_where_it_began() -> None:
    quiet, falling = [0.0, 0.3, -0.2], [-1.5] * 6
    assert slide(quiet) is None
    assert slide([]) is None
    found = slide([*quiet, *falling])
    assert found is not None
    assert found.start == 3
    assert found.height == pytest.approx(6.0)
    # A recovery takes it back.
    assert slide([*quiet, *falling, 3.0]) is None
