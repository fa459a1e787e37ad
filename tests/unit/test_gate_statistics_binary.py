from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, binomtest, norm
from statsmodels.stats.contingency_tables import mcnemar as reference_mcnemar
from statsmodels.stats.proportion import proportion_confint

from pytest_lmeval.gate.statistics.binary import mcnemar, mid_p, tango_interval, tango_z
from pytest_lmeval.gate.statistics.intervals import clopper_pearson, wilson

COUNTS = st.tuples(st.integers(0, 60), st.integers(0, 60), st.integers(0, 400)).map(
    lambda found: (found[0], found[1], found[0] + found[1] + found[2])
)
CHECKED = settings(max_examples=100, deadline=None)


def test_published_example() -> None:
    found = mcnemar(7, 1, 21, alpha=0.05)
    assert round(2 * found.p_worse, 3) == 0.039
    assert (round(found.low, 3), round(found.high, 3)) == (-0.517, -0.026)
    assert found.difference == pytest.approx(-6 / 21)
    assert (found.method, found.n, found.clusters, found.note) == ("mcnemar", 21, None, "")


@CHECKED
@given(COUNTS)
def test_mid_p_is_the_exact_test_less_half_of_what_was_seen(counts: tuple[int, int, int]) -> None:
    b, c, n = counts
    found = mcnemar(b, c, n, alpha=0.01)
    if b + c == 0:
        assert found.p_worse == found.p_better == 1
        return
    exact = binomtest(b, b + c, 0.5, alternative="greater").pvalue
    seen = binom.pmf(b, b + c, 0.5)
    assert found.p_worse == pytest.approx(exact - seen / 2, abs=1e-9)
    assert found.p_better == pytest.approx(1 - found.p_worse, abs=1e-9)
    two_sided = reference_mcnemar([[0, b], [c, 0]], exact=True).pvalue
    assert min(1, 2 * min(found.p_worse, found.p_better) + seen) == pytest.approx(two_sided, abs=1e-9)


@CHECKED
@given(COUNTS)
def test_arms_are_treated_alike(counts: tuple[int, int, int]) -> None:
    b, c, n = counts
    one, other = mcnemar(b, c, n, alpha=0.05), mcnemar(c, b, n, alpha=0.05)
    assert one.p_worse == other.p_better
    assert one.difference == -other.difference
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low), abs=1e-12)
    assert one.stderr == other.stderr


@CHECKED
@given(COUNTS)
def test_more_regressions_are_never_better(counts: tuple[int, int, int]) -> None:
    b, c, n = counts
    one, worse = mcnemar(b, c, n + 1, alpha=0.05), mcnemar(b + 1, c, n + 1, alpha=0.05)
    assert worse.p_worse <= one.p_worse
    assert worse.lower <= one.lower
    assert worse.high <= one.high + 1e-12
    better = mcnemar(b, c + 1, n + 1, alpha=0.05)
    if b + c:
        assert better.p_worse >= one.p_worse
    assert better.lower >= one.lower - 1e-12


@CHECKED
@given(COUNTS, st.sampled_from([0.001, 0.01, 0.05]))
def test_bounds_hold_the_difference_and_have_a_width(counts: tuple[int, int, int], alpha: float) -> None:
    b, c, n = counts
    found = mcnemar(b, c, n, alpha=alpha)
    assert -1 <= found.low <= found.difference <= found.high <= 1
    assert -1 <= found.lower <= found.difference
    assert found.high > found.low
    assert 0 <= found.p_worse <= 1


@CHECKED
@given(COUNTS.filter(lambda counts: counts[0] > 0 and counts[0] + counts[1] < counts[2]))
def test_bounds_are_where_the_score_test_rejects(counts: tuple[int, int, int]) -> None:
    b, c, n = counts
    found = mcnemar(b, c, n, alpha=0.01)
    assert tango_z(b, c, n, found.lower) == pytest.approx(norm.isf(0.01), abs=1e-6)
    assert tango_z(b, c, n, found.low) == pytest.approx(norm.isf(0.025), abs=1e-6)
    assert tango_z(b, c, n, found.high) == pytest.approx(-norm.isf(0.025), abs=1e-6)
    assert tango_z(b, c, n, 0.0) == pytest.approx((c - b) / math.sqrt(b + c), abs=1e-9)


def test_without_a_change_the_bound_is_the_rule_of_three() -> None:
    z = float(norm.isf(0.05))
    for n in (10, 200, 1319, 14042):
        found = mcnemar(0, 0, n, alpha=0.05)
        assert found.lower == pytest.approx(-(z**2) / (n + z**2), abs=1e-12)
        assert (found.difference, found.stderr, found.p_worse) == (0, 0, 1)


def test_tango_of_a_constrained_optimum_by_search() -> None:
    """The share of right-to-wrong documents that Tango's test uses is the most likely one."""
    b, c, n, d = 9, 4, 60, -0.15
    shares = [k / 200_000 for k in range(30_001, 110_000)]
    best = max(shares, key=lambda q: b * math.log(q) + c * math.log(q + d) + (n - b - c) * math.log(1 - 2 * q - d))
    z = (c - b - n * d) / math.sqrt(n * (2 * best + d * (1 - d)))
    assert tango_z(b, c, n, d) == pytest.approx(z, abs=1e-4)


def test_a_hypothesis_without_chance_is_infinitely_far() -> None:
    assert tango_z(3, 2, 10, -1.0) == math.inf
    assert tango_z(3, 2, 10, 1.0) == -math.inf
    assert tango_z(10, 0, 10, -1.0) == 0


def test_no_documents_conclude_nothing() -> None:
    found = mcnemar(0, 0, 0, alpha=0.05)
    assert (found.p_worse, found.p_better, found.lower, found.low, found.high) == (1, 1, -1, -1, 1)
    assert found.note == "no documents"


@pytest.mark.parametrize(("b", "c", "n"), [(1, 0, 1), (0, 1, 1), (5, 0, 5), (0, 5, 5), (3, 2, 5)])
def test_every_document_changed(b: int, c: int, n: int) -> None:
    found = mcnemar(b, c, n, alpha=0.05)
    assert -1 <= found.low <= found.difference <= found.high <= 1
    assert math.isfinite(found.lower)


@pytest.mark.parametrize(("b", "c", "n"), [(-1, 0, 5), (0, -1, 5), (3, 3, 5)])
def test_impossible_counts_are_refused(b: int, c: int, n: int) -> None:
    with pytest.raises(ValueError, match="regressed"):
        mcnemar(b, c, n, alpha=0.05)


def test_levels_between_zero_and_one() -> None:
    with pytest.raises(ValueError, match="level"):
        tango_interval(1, 1, 10, 1.0)
    with pytest.raises(ValueError, match="level"):
        wilson(1, 10, 95)


@CHECKED
@given(st.floats(0, 50), st.floats(0, 50))
def test_effective_counts_lie_between_whole_ones(b: float, c: float) -> None:
    p = mid_p(b, c)
    assert 0 <= p <= 1
    if b >= 1 and c >= 1:
        assert mid_p(math.ceil(b), math.floor(c)) - 1e-12 <= p <= mid_p(math.floor(b), math.ceil(c)) + 1e-12


@CHECKED
@given(st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.sampled_from([0.9, 0.99]))
def test_intervals_of_a_proportion_are_those_of_statsmodels(counts: tuple[int, int], level: float) -> None:
    found, n = counts
    for ours, name in ((wilson, "wilson"), (clopper_pearson, "beta")):
        assert ours(found, n, level) == pytest.approx(proportion_confint(found, n, 1 - level, name), abs=1e-9)
        low, high = ours(found, n, level)
        assert 0 <= low <= found / n <= high <= 1


def test_a_proportion_of_nothing() -> None:
    assert wilson(0, 0, 0.95) == clopper_pearson(0, 0, 0.95) == (0, 1)
    with pytest.raises(ValueError, match="successes"):
        clopper_pearson(3, 2, 0.95)
