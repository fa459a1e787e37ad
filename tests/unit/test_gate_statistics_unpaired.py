from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_lmeval.gate.statistics.unpaired import deviation, unpaired, unpaired_detectable, unpaired_threshold


@pytest.mark.parametrize(("n", "step", "theta"), [(4096, -1.82, 2.75), (1319, -3.20, 4.84)])
def test_published_thresholds(n: int, step: float, theta: float) -> None:
    assert round(unpaired_threshold(60, n, 50, 0.05, True) - 60, 2) == step
    assert round(unpaired_threshold(60, n, 50, 0.05, False) - 60, 2) == -step
    assert round(unpaired_detectable(n, 50, 0.05, 0.8), 2) == theta


@settings(max_examples=100, deadline=None)
@given(st.floats(0, 100), st.floats(0, 100), st.integers(1, 20_000), st.sampled_from([0.002, 0.05, 0.5]), st.booleans())
def test_it_rejects_where_the_threshold_says(
    value: float, reference: float, n: int, alpha: float, higher: bool
) -> None:
    found = unpaired(value, reference, n, sigma=50, alpha=alpha, higher_is_better=higher)
    threshold = unpaired_threshold(reference, n, 50, alpha, higher)
    if abs(value - threshold) > 1e-9:
        assert (found.p_worse < alpha) is (value < threshold if higher else value > threshold)
    assert found.low <= found.difference <= found.high
    assert found.p_worse + found.p_better == pytest.approx(1)


def test_without_variance_numbers_are_compared_exactly() -> None:
    assert unpaired_threshold(1, 10, 0, 0.5, True) == 1
    equal, below, above = (unpaired(v, 1, 10, sigma=0, alpha=0.5, higher_is_better=True) for v in (1, 0.99, 1.01))
    assert (equal.p_worse, equal.p_better) == (1, 1)
    assert (below.p_worse, below.p_better) == (0, 1)
    assert (above.p_worse, above.p_better) == (1, 0)


def test_the_reference_tells_the_variance_of_an_accuracy() -> None:
    found = unpaired(0.70, 0.75, 1319, sigma=None, alpha=0.05, higher_is_better=True)
    assert found.stderr == pytest.approx(math.sqrt(2 * 0.75 * 0.25 / 1319))
    assert found.method == "unpaired"
    assert found.note == "unpaired: sees only drops of 0.0419 or more"
    for edge in (0.0, 1.0):
        assert deviation(edge, 100) == pytest.approx(math.sqrt(1 / 102 * 101 / 102))


def test_a_reference_over_more_documents_varies_less() -> None:
    same, larger = (
        unpaired(0.7, 0.75, 100, sigma=0.5, alpha=0.05, higher_is_better=True, reference_n=other)
        for other in (None, 10_042)
    )
    assert same.stderr == pytest.approx(0.5 * math.sqrt(2 / 100))
    assert larger.stderr == pytest.approx(0.5 * math.sqrt(1 / 100 + 1 / 10_042))


def test_what_cannot_be() -> None:
    with pytest.raises(ValueError, match="sigma"):
        unpaired(60, 62, 100, sigma=None, alpha=0.05, higher_is_better=True)
    with pytest.raises(ValueError, match="finite numbers"):
        unpaired(math.nan, 0.6, 100, sigma=None, alpha=0.05, higher_is_better=True)
    with pytest.raises(ValueError, match="documents"):
        unpaired_detectable(0, 50, 0.05, 0.8)
