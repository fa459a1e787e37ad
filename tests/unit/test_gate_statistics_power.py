from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, norm

from pytest_lmeval.gate.statistics.binary import tango_bounds
from pytest_lmeval.gate.statistics.power import (
    design_effect,
    detectable_binary,
    detectable_continuous,
    documents_needed,
    noninferiority_documents,
    noninferiority_power,
    observed_design_effect,
)
from pytest_lmeval.gate.statistics.unpaired import unpaired_detectable

CHECKED = settings(max_examples=100, deadline=None)
# Points that are seen with a power of 0.8; a star where every change would have to be a regression.
COLUMNS = [(0.05, 1), (0.05, 2), (0.05, 3), (0.05, 5), (0.05, 10), (0.05, 20)] + [(0.01, psi) for psi in (1, 3, 5, 10)]
TABLE = {
    200: "1.0* 2.0* 3.0* 3.9 5.5 7.8 1.0* 3.0* 5.0 7.0",
    500: "1.0* 1.57 1.92 2.48 3.51 4.96 1.0* 2.45 3.16 4.47",
    1000: ".79 1.11 1.36 1.76 2.48 3.51 1.0* 1.73 2.24 3.16",
    1319: ".68 .97 1.18 1.53 2.16 3.06 .87 1.51 1.95 2.76",
    4096: ".39 .55 .67 .87 1.23 1.74 .49 .86 1.11 1.56",
    10042: ".25 .35 .43 .55 .78 1.11 .32 .55 .71 1.00",
    14042: ".21 .30 .36 .47 .66 .94 .27 .46 .60 .85",
}
UNPAIRED = {200: "12.4", 500: "7.9", 1000: "5.6", 1319: "4.84", 4096: "2.75", 10042: "1.75", 14042: "1.48"}


def printed(value: float, like: str) -> float:
    """Half of the last printed digit, either way."""
    return 0.5 * 10.0 ** -len(like.partition(".")[2]) * (1 + 1e-2)


@pytest.mark.parametrize(
    ("n", "alpha", "percent", "shown"),
    [(n, *column, shown) for n, row in TABLE.items() for column, shown in zip(COLUMNS, row.split(), strict=True)],
)
def test_detectable_drops(n: int, alpha: float, percent: int, shown: str) -> None:
    found = detectable_binary(n, percent / 100, alpha=alpha)
    number = shown.rstrip("*")
    assert abs(100 * found - float(number)) <= printed(found, number)
    assert (found == percent / 100) is shown.endswith("*")


@pytest.mark.parametrize(("n", "shown"), UNPAIRED.items())
def test_detectable_without_pairs(n: int, shown: str) -> None:
    assert abs(unpaired_detectable(n, 50, 0.05, 0.8) - float(shown)) <= printed(0, shown)


@pytest.mark.parametrize(
    ("margin", "expected"),
    [(1, (1237, 1855, 3092, 6183)), (2, (310, 464, 773, 1546)), (0.5, (4947, 7420, 12366, 24731))],
)
def test_documents_for_noninferiority(margin: float, expected: tuple[int, ...]) -> None:
    found = tuple(noninferiority_documents(margin / 100, psi / 100, alpha=0.05) for psi in (2, 3, 5, 10))
    assert found == expected


@CHECKED
@given(st.integers(0, 40), st.integers(40, 2000), st.sampled_from([0.005, 0.01, 0.02]), st.sampled_from([0.01, 0.05]))
def test_the_power_of_noninferiority_is_a_sum_over_all_outcomes(
    flips: int, n: int, margin: float, alpha: float
) -> None:
    shown = [b for b in range(flips + 1) if tango_bounds(b, flips - b, n, alpha)[0] > -margin]
    known = binom.pmf(shown, flips, 0.5).sum()
    assert noninferiority_power(flips, n, margin, alpha=alpha) == pytest.approx(known, abs=1e-12)


def test_of_many_changes_the_power_is_that_of_the_normal_approximation() -> None:
    n = noninferiority_documents(0.01, 0.05, alpha=0.05, power=0.95)
    assert noninferiority_power(round(0.05 * n), n, 0.01, alpha=0.05) == pytest.approx(0.95, abs=0.01)
    # Of few it is not: one change for the worse in 200 documents already leaves two points open.
    assert noninferiority_documents(0.02, 1 / 200, alpha=0.05, power=0.95) < 200
    assert noninferiority_power(1, 200, 0.02, alpha=0.05) == 0.5
    with pytest.raises(ValueError, match="at most 10 changes, found 11"):
        noninferiority_power(11, 10, 0.01, alpha=0.05)


@CHECKED
@given(st.integers(50, 20_000), st.floats(0.005, 0.5), st.sampled_from([0.001, 0.01, 0.05]), st.floats(0.5, 0.99))
def test_the_detectable_drop_takes_as_many_documents(n: int, psi: float, alpha: float, power: float) -> None:
    drop = detectable_binary(n, psi, alpha=alpha, power=power)
    assert 0 < drop <= psi
    if drop < psi:
        assert documents_needed(drop, psi, alpha=alpha, power=power) == pytest.approx(n, abs=1)
        z_alpha, z_beta = norm.isf(alpha), norm.ppf(power)
        needed = ((z_alpha * math.sqrt(psi) + z_beta * math.sqrt(psi - drop**2)) / drop) ** 2
        assert needed == pytest.approx(n, rel=1e-9)
    assert detectable_binary(2 * n, psi, alpha=alpha, power=power) <= drop
    assert detectable_binary(n, psi, alpha=alpha / 2, power=power) >= drop


def test_a_handful_of_documents_sees_no_less_than_everything() -> None:
    assert detectable_binary(2, 0.05, alpha=0.001) == 0.05


def test_a_drop_beyond_the_usual_changes_is_its_own() -> None:
    assert documents_needed(0.1, 0.02, alpha=0.05) == documents_needed(0.1, 0.1, alpha=0.05)


def test_continuous_and_clustered() -> None:
    assert detectable_continuous(0.01, alpha=0.05) == pytest.approx((norm.isf(0.05) + norm.ppf(0.8)) * 0.01)
    assert design_effect(25, 0.1) == pytest.approx(3.4)
    assert design_effect(25, -0.1) == 1
    assert observed_design_effect(0.02, 0.01) == pytest.approx(4)
    assert observed_design_effect(0.01, 0.02) == observed_design_effect(0.01, 0) == 1


def test_what_cannot_be() -> None:
    with pytest.raises(ValueError, match="changed"):
        detectable_binary(100, 0, alpha=0.05)
    with pytest.raises(ValueError, match="documents"):
        detectable_binary(0, 0.1, alpha=0.05)
    with pytest.raises(ValueError, match="drop"):
        documents_needed(0, 0.1, alpha=0.05)
