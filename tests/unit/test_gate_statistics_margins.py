from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_lmeval.gate.statistics.margins import Drift, drift

Array = np.ndarray[Any, np.dtype[np.float64]]


def margins(n: int = 200, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(0.5, 1.0, n)


def noise(size: float, shift: float = 0.0, n: int = 200) -> Array:
    return np.random.default_rng(1).normal(shift, size, n)


def test_another_batch_size_is_no_drift() -> None:
    then = margins()
    for floor in (None, 0.0, 1e-8):
        assert not drift(then + noise(5e-8), then, alpha=0.01, seed=1, floor_mean=floor).moved


def test_rounding_of_the_record_is_no_drift_from_a_floor_of_nothing() -> None:
    then = margins()
    assert not drift(then, np.round(then, 6), alpha=0.01, seed=1, floor_mean=0.0).moved


def test_bfloat16_is_within_the_default() -> None:
    then = margins()
    found = drift(then + noise(0.019), then, alpha=0.01, seed=1)
    assert not found.moved
    assert found.share == pytest.approx(0.015, abs=0.003)


def test_four_bits_are_not() -> None:
    then = margins()
    found = drift(then + noise(0.36, -0.1), then, alpha=0.01, seed=1)
    assert found.moved
    assert found.share == pytest.approx(0.29, abs=0.05)
    assert [reason.split()[0] for reason in found.reasons] == ["On", "Margins"]
    assert "% of their spread" in found.reasons[0]


def test_a_small_shift_of_all_is_seen() -> None:
    then = margins()
    found = drift(then + noise(0.02, -0.02), then, alpha=0.01, seed=1)
    assert found.moved
    assert len(found.reasons) == 1
    assert found.mean_shift.difference < 0
    assert found.p < 0.01
    gained = drift(then + noise(0.02, 0.02), then, alpha=0.01, seed=1)
    assert gained.moved


def test_a_certain_shift_of_no_size_is_no_drift() -> None:
    then = margins()
    found = drift(then - 0.005, then, alpha=0.01, seed=1)
    assert found.p < 0.001
    assert not found.moved


def test_more_than_thrice_the_measured_noise() -> None:
    then = margins()
    now = then + noise(0.019)
    assert drift(now, then, alpha=0.01, seed=1, floor_mean=0.001).moved
    assert not drift(now, then, alpha=0.01, seed=1, floor_mean=0.01).moved
    wide = then + noise(0.1)
    assert drift(wide, then, alpha=0.01, seed=1).moved
    assert not drift(wide, then, alpha=0.01, seed=1, floor_mean=0.05).moved


def test_numbers() -> None:
    found = drift([1.0, 2.0, 3.0, 5.0], [1.0, 2.0, 3.0, 4.0], alpha=0.05, seed=1)
    assert (found.n, found.mean_absolute, found.mean_shift.difference) == (4, 0.25, 0.25)
    assert found.spread == pytest.approx(np.std([1, 2, 3, 4], ddof=1))
    assert found.p95 == pytest.approx(0.85)
    assert found.share == pytest.approx(0.25 / found.spread)


@pytest.mark.parametrize(("shift", "told"), [(0.01, "0.89 %"), (2.0, "178 %"), (20.0, "1,784 %")])
def test_shares_are_spelled_for_people(shift: float, told: str) -> None:
    then = np.array([1.0, 2.0, 3.0, 4.0] * 50)
    found = drift(then + shift, then, alpha=0.01, seed=1, floor_mean=1e-9)
    assert f"({told} of their spread)" in " ".join(found.reasons)


def test_margins_that_are_no_numbers_are_counted_and_move() -> None:
    then = margins()
    now = then.copy()
    now[:3] = math.nan
    found = drift(now, then, alpha=0.01, seed=1)
    assert (found.n, found.not_finite_now, found.not_finite_then) == (197, 3, 0)
    assert found.reasons == ("The margin of 3 documents is no finite number any more.",)
    back = drift(then, now, alpha=0.01, seed=1)
    assert (back.not_finite_now, back.not_finite_then, back.moved) == (0, 3, True)
    both = drift(now, now, alpha=0.01, seed=1)
    assert (both.n, both.not_finite_now, both.not_finite_then, both.moved) == (197, 3, 3, False)


def test_nothing_to_compare() -> None:
    none = drift([], [], alpha=0.01, seed=1)
    assert (none.n, none.moved, none.share) == (0, False, 0)
    lost = drift([math.nan], [1.0], alpha=0.01, seed=1)
    assert (lost.n, lost.moved) == (0, True)
    alike = drift([1.0, 1.5], [1.0, 1.0], alpha=0.01, seed=1)
    assert alike.share == math.inf
    assert alike.moved


def test_clusters_are_taken_into_account() -> None:
    codes = [k // 25 for k in range(500)]
    random = np.random.default_rng(0)
    then = margins(500)
    now = then + np.repeat(random.normal(0, 0.02, 20), 25)
    found = drift(now, then, alpha=0.01, seed=1, clusters=codes)
    assert found.mean_shift.clusters == 20
    assert found.p > drift(now, then, alpha=0.01, seed=1).p
    assert drift([], [], alpha=0.01, seed=1, clusters=[]).n == 0
    with pytest.raises(ValueError, match="one entry per document"):
        drift(now, then, alpha=0.01, seed=1, clusters=codes[1:])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-9, 9), st.floats(-9, 9)), max_size=30),
    st.sampled_from([None, 0.0, 0.1]),
    st.integers(0, 99),
)
def test_of_any_margins(pairs: list[tuple[float, float]], floor: float | None, seed: int) -> None:
    now, then = ([pair[at] for pair in pairs] for at in (0, 1))

    def found() -> Drift:
        return drift(now, then, alpha=0.05, seed=seed, floor_mean=floor)

    assert found() == found()
    assert 0 <= found().p <= 1
    assert found().mean_absolute >= abs(found().mean_shift.difference) - 1e-9
    assert not drift(now, now, alpha=0.05, seed=seed, floor_mean=floor).moved
