"""Evidence and bounds that hold at any time: their formulas, and by simulation what they promise."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.gate.rows import Effort
from benchmarks.gate.sequential import ASKED, WORSE, N, stopped_worse, walk
from pytest_lmeval.gate.statistics.sequential import (
    CountBounds,
    anytime_p,
    combined_p,
    counts_bounds,
    discordance_evidence,
)

special = pytest.importorskip("scipy.special")
stats = pytest.importorskip("scipy.stats")

COUNTS = st.integers(0, 400)


def exact(regressed: int, improved: int) -> float:
    """Log of the mixture, its binomial tail summed in whole numbers."""
    n = regressed + improved
    tail = sum(math.comb(n + 1, k) for k in range(regressed + 1))
    value = Fraction(tail, (n + 1) * math.comb(n, regressed))
    return math.log(value.numerator) - math.log(value.denominator)


@given(COUNTS, COUNTS)
def test_the_evidence_is_the_mixture(regressed: int, improved: int) -> None:
    assert discordance_evidence(regressed, improved) == pytest.approx(exact(regressed, improved), abs=1e-10)


@pytest.mark.parametrize(("regressed", "improved"), [(0, 0), (7, 1), (1, 7), (40, 22), (250, 300)])
def test_the_evidence_agrees_with_scipy(regressed: int, improved: int) -> None:
    b, c = regressed + 1, improved + 1
    theirs = (b + c - 1) * math.log(2) + special.betaln(b, c) + stats.beta.logsf(0.5, b, c)
    assert discordance_evidence(regressed, improved) == pytest.approx(theirs, rel=1e-9, abs=1e-9)


@given(COUNTS, COUNTS)
def test_a_fair_flip_leaves_the_evidence_as_it_is_on_average(regressed: int, improved: int) -> None:
    now = discordance_evidence(regressed, improved)
    worse, better = discordance_evidence(regressed + 1, improved), discordance_evidence(regressed, improved + 1)
    assert (math.exp(worse - now) + math.exp(better - now)) / 2 == pytest.approx(1.0, abs=1e-9)
    assert worse > now > better


def test_large_counts() -> None:
    assert discordance_evidence(100_000, 0) == pytest.approx(100_001 * math.log(2) - math.log(100_001), rel=1e-12)
    assert discordance_evidence(0, 100_000) == pytest.approx(-math.log(100_001), rel=1e-12)
    assert discordance_evidence(50_000, 50_000) < 0 < discordance_evidence(51_000, 49_000)
    with pytest.raises(ValueError, match="counts of documents"):
        discordance_evidence(-1, 3)


def test_p_values() -> None:
    assert anytime_p(math.log(500)) == pytest.approx(0.002)
    assert anytime_p(-3.0) == 1.0
    assert combined_p(0.008, 1.0) == pytest.approx(0.01)
    assert combined_p(1.0, 0.002) == pytest.approx(0.01)
    assert combined_p(1.0, 1.0) == 1.0


SIZES = st.integers(1, 300).flatmap(
    lambda total: st.integers(0, total).flatmap(
        lambda asked: st.tuples(st.integers(0, asked), st.just(asked), st.just(total))
    )
)


@given(SIZES, st.sampled_from([0.2, 0.01, 1e-6]))
def test_bounds_are_all_numbers_that_are_not_ruled_out(counts: tuple[int, int, int], alpha: float) -> None:
    """By the definition: the marginal likelihood over that of each number."""
    successes, asked, total = counts
    low, high = counts_bounds(successes, asked, total, alpha=alpha)
    numbers = np.arange(total + 1)
    likelihoods = stats.hypergeom.logpmf(successes, total, numbers, asked)
    marginal = stats.betabinom.logpmf(successes, asked, 0.5, 9.5)
    ratios = likelihoods - marginal - math.log(alpha)
    inside = (numbers >= low) & (numbers <= high)
    assert (ratios[inside] > -1e-7).all()
    assert (ratios[~inside] < 1e-7).all()
    assert successes <= low <= high <= total - asked + successes


def test_when_all_are_asked_the_number_is_known() -> None:
    assert counts_bounds(17, 100, 100, alpha=0.01) == (17, 17)
    assert counts_bounds(0, 0, 100, alpha=0.01) == (0, 100)
    with pytest.raises(ValueError, match="3 of 2 of 10"):
        counts_bounds(3, 2, 10, alpha=0.01)


@pytest.mark.parametrize("number", [0, 6, 40, 150])
def test_bounds_hold_at_all_times_at_once(number: int) -> None:
    stream = np.random.default_rng(number)
    missed, runs, alpha = 0, 300, 0.2
    for _ in range(runs):
        seen = np.cumsum(stream.permutation(np.arange(300) < number))
        bounds = CountBounds.before(300)
        for asked in range(10, 300, 10):
            bounds = bounds.after(int(seen[asked - 1]), asked, 300, alpha=alpha)
        missed += not bounds.low <= number <= bounds.high
    assert missed / runs < alpha + 3 * math.sqrt(alpha * (1 - alpha) / runs)


def test_bounds_only_ever_narrow() -> None:
    bounds = CountBounds.before(100).after(5, 50, 100, alpha=0.05)
    later = bounds.after(5, 51, 100, alpha=0.05)
    assert bounds.low <= later.low <= later.high <= bounds.high


def test_a_worse_model_is_stopped_as_soon_as_published() -> None:
    found = [row for row in stopped_worse(Effort(quick=True)) if row.test == "one e-process" and row.what == ASKED]
    documents = [N * row.rate.value for row in found]
    assert documents == [pytest.approx(known, rel=0.2) for _, _, known in WORSE]


def test_a_walk_ends_where_a_monitor_would() -> None:
    run = np.array([0, -1, -1, 0, -1, -1, -1, -1, -1, 0])
    assert walk(run, discordance_evidence(6, 0), 0.0) == (8, discordance_evidence(6, 0))
    # Six of eight documents are 75 points, seven of nine more.
    assert walk(run, discordance_evidence(6, 0), 76.0)[0] == 9
    assert walk(-run, 1.0, 0.0) == (None, 0.0)
