from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import permutation_test, ttest_1samp
from statsmodels.regression.linear_model import OLS

from pytest_lmeval.gate.statistics.continuous import clustered, heavily_skewed, paired_t
from pytest_lmeval.gate.statistics.flipping import sign_flip
from pytest_lmeval.gate.statistics.ratio import paired_ratio

CHECKED = settings(max_examples=60, deadline=None)
VALUES = st.lists(st.floats(-1, 1).map(lambda value: round(value, 3)), min_size=2, max_size=40)


def normal(n: int, mean: float = 0.0, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, 1, n)


def test_many_documents_are_tested_by_t() -> None:
    d = normal(1500, -0.03)
    found = paired_t(d, alpha=0.05, seed=1)
    worse = ttest_1samp(d, 0, alternative="less")
    both = ttest_1samp(d, 0).confidence_interval(0.95)
    assert found.method == "paired_t"
    assert found.p_worse == pytest.approx(worse.pvalue, abs=1e-9)
    assert found.p_better == pytest.approx(1 - worse.pvalue, abs=1e-9)
    assert (found.low, found.high) == pytest.approx((both.low, both.high), abs=1e-9)
    assert found.lower == pytest.approx(
        ttest_1samp(d, 0, alternative="greater").confidence_interval(0.95).low, abs=1e-9
    )
    assert found.stderr == pytest.approx(d.std(ddof=1) / math.sqrt(1500), abs=1e-12)


def test_few_documents_are_tested_by_sign_flips() -> None:
    d = normal(200, -0.1)
    found = paired_t(d, alpha=0.05, seed=1)
    reference = permutation_test((d,), np.mean, permutation_type="samples", n_resamples=20_000, alternative="less")
    assert found.method == "sign_flip"
    assert found.p_worse == pytest.approx(reference.pvalue, abs=0.02)
    assert found.p_better == pytest.approx(1 - reference.pvalue, abs=0.02)


@CHECKED
@given(st.lists(st.integers(-3, 3), min_size=2, max_size=10))
def test_a_handful_is_tested_exactly(d: list[int]) -> None:
    found = paired_t(d, alpha=0.05, seed=1)
    sums = [sum(s * v for s, v in zip(signs, d, strict=True)) for signs in product((-1, 1), repeat=len(d))]
    assert found.p_worse == pytest.approx(sum(s <= sum(d) for s in sums) / len(sums), abs=1e-12)
    assert found.p_better == pytest.approx(sum(s >= sum(d) for s in sums) / len(sums), abs=1e-12)


def test_heavy_skew_is_not_left_to_t() -> None:
    d = np.random.default_rng(0).lognormal(0, 1.5, 5000)
    d -= d.mean()
    assert heavily_skewed(d)
    assert paired_t(d, alpha=0.05, seed=1, permutations=500).method == "sign_flip"
    assert not heavily_skewed(normal(5000))


def test_a_p_value_is_never_zero() -> None:
    found = paired_t(normal(300, -5), alpha=0.01, seed=1, permutations=999)
    assert found.p_worse == pytest.approx(1 / 1000)
    assert found.p_better == 1


@CHECKED
@given(VALUES)
def test_of_any_differences(d: list[float]) -> None:
    found = paired_t(d, alpha=0.05, seed=3, permutations=500)
    assert found.low <= found.difference <= found.high
    assert found.lower <= found.difference
    assert 0 < found.p_worse <= 1
    assert 0 < found.p_better <= 1
    assert found.p_worse + found.p_better >= 1
    assert found == paired_t(d, alpha=0.05, seed=3, permutations=500)
    mirrored = paired_t([-v for v in d], alpha=0.05, seed=3, permutations=500)
    assert mirrored.difference == pytest.approx(-found.difference)
    assert (mirrored.p_worse, mirrored.p_better) == pytest.approx((found.p_better, found.p_worse))


@CHECKED
@given(st.permutations([0.5, -0.25, 0.125, -1, 0.75, 0, -0.5, 0.25]))
def test_the_order_of_few_documents_does_not_matter(d: list[float]) -> None:
    found, ordered = paired_t(d, alpha=0.05, seed=1), paired_t(sorted(d), alpha=0.05, seed=1)
    assert (found.p_worse, found.lower) == pytest.approx((ordered.p_worse, ordered.lower), abs=1e-12)


@CHECKED
@given(st.lists(st.integers(-3, 3), min_size=2, max_size=10).filter(any), st.floats(0.01, 1))
def test_the_same_shift_of_all_documents_is_evidence(d: list[int], drop: float) -> None:
    found, worse = (paired_t([value - shift for value in d], alpha=0.05, seed=1) for shift in (0, drop))
    assert worse.difference < found.difference
    assert worse.lower < found.lower
    assert worse.p_worse <= found.p_worse + 1e-12


def test_identical_runs() -> None:
    found = paired_t(np.zeros(50), alpha=0.05, seed=1)
    assert (found.difference, found.p_worse, found.p_better, found.lower, found.low, found.high) == (0, 1, 1, 0, 0, 0)
    assert found.note == "identical"


def test_one_document_and_none() -> None:
    one = paired_t([-0.5], alpha=0.05, seed=1)
    assert (one.difference, one.p_worse, one.lower, one.note) == (-0.5, 1, -math.inf, "one document")
    none = paired_t([], alpha=0.05, seed=1)
    assert (none.n, none.p_worse, none.lower, none.high, none.note) == (0, 1, -math.inf, math.inf, "no documents")


def test_equal_differences_have_no_spread() -> None:
    found = paired_t([-0.1] * 30, alpha=0.05, seed=1)
    assert found.method == "sign_flip"
    assert found.p_worse < 0.001
    assert paired_t([-0.1] * 3000, alpha=0.05, seed=1, permutations=500).p_worse == pytest.approx(1 / 501)


def test_what_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="1 of 2 are not finite"):
        paired_t([0.1, math.nan], alpha=0.05, seed=1)
    with pytest.raises(ValueError, match="per document"):
        paired_t([[0.1, 0.2]], alpha=0.05, seed=1)


def test_all_sign_flips_of_many_units_need_no_memory_for_them() -> None:
    tally = sign_flip(normal(30_000), seed=1, draws=200)
    assert (tally.draws, tally.exact) == (200, False)
    assert 0 < tally.p_worse < 1


# ---- clusters


def grouped(clusters: int, size: int, correlation: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    shared = np.repeat(random.normal(0, math.sqrt(correlation), clusters), size)
    return shared + random.normal(0, math.sqrt(1 - correlation), clusters * size), np.repeat(range(clusters), size)


def test_the_standard_error_is_the_cluster_robust_one_of_regression() -> None:
    d, codes = grouped(20, 25, 0.3)
    reference = OLS(d, np.ones(len(d))).fit(
        cov_type="cluster", cov_kwds={"groups": codes, "use_correction": False}, use_t=True
    )
    found = clustered(d, codes.tolist(), alpha=0.05, seed=1)
    assert found.stderr == pytest.approx(float(reference.bse[0]) * math.sqrt(20 / 19), abs=1e-9)
    assert (found.method, found.clusters, found.n, found.note) == ("clustered_t", 20, 500, "")
    assert found.stderr is not None
    assert found.stderr > d.std(ddof=1) / math.sqrt(500)


@CHECKED
@given(st.lists(st.floats(-1, 1), min_size=10, max_size=40).filter(lambda d: np.std(d) > 1e-6))
def test_clusters_of_one_are_documents(d: list[float]) -> None:
    found = clustered(d, list(range(len(d))), alpha=0.05, seed=1)
    reference = ttest_1samp(d, 0, alternative="less")
    assert found.p_worse == pytest.approx(reference.pvalue, abs=1e-9)
    low, high = ttest_1samp(d, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-9)


def test_few_clusters_are_flipped_whole() -> None:
    d, codes = [-1.0, -1, -2, -1, -3, -1, -1], list("aabcdef")
    found = clustered(d, codes, alpha=0.05, seed=1)
    assert found.method == "clustered_sign_flip"
    assert found.p_worse == 1 / 2**6
    assert found.note == "few clusters (6): p cannot be below 0.016"


def test_below_five_clusters_there_is_no_gate() -> None:
    found = clustered([-1.0, -2, -3, -4], ["a", "b", "c", "d"], alpha=0.05, seed=1)
    assert (found.p_worse, found.p_better, found.lower) == (1, 1, -math.inf)
    assert found.difference == -2.5
    assert math.isfinite(found.low)
    assert found.note == "4 clusters: too few to conclude anything"
    assert clustered([-1.0, -2], ["a", "a"], alpha=0.05, seed=1).note == "1 cluster: too few to conclude anything"


def test_identical_clusters() -> None:
    found = clustered(np.zeros(12), list("aabbccddeeff"), alpha=0.05, seed=1)
    assert (found.p_worse, found.lower, found.clusters, found.note) == (1, 0, 6, "identical")


def test_changes_that_cancel_within_clusters_still_have_a_width() -> None:
    found = clustered([1.0, -1] * 12, [k // 2 for k in range(24)], alpha=0.05, seed=1)
    assert found.difference == 0
    assert found.low < 0 < found.high
    assert found.p_worse > 0.4


def test_a_cluster_for_every_document() -> None:
    with pytest.raises(ValueError, match="one entry per document"):
        clustered([0.1, 0.2], ["a"], alpha=0.05, seed=1)


# ---- ratio


def test_the_ratio_is_that_of_the_perplexities() -> None:
    random = np.random.default_rng(0)
    words = random.integers(50, 400, 62)
    then = -words * random.normal(3, 0.2, 62)
    now = then - words * random.normal(0.01, 0.02, 62)
    found = paired_ratio(now, then, words, alpha=0.05)
    perplexities = [math.exp(-float(arm.sum()) / float(words.sum())) for arm in (now, then)]
    assert math.exp(-found.difference) == pytest.approx(perplexities[0] / perplexities[1], rel=1e-12)
    residuals = now - then - found.difference * words
    assert found.stderr == pytest.approx(
        math.sqrt(62 / 61 * float((residuals**2).sum())) / float(words.sum()), rel=1e-12
    )
    assert (found.method, found.n) == ("ratio_sign_flip", 62)


def test_equal_weights_are_a_paired_t_test() -> None:
    d = normal(1200, -0.03)
    found = paired_ratio(d, np.zeros(1200), np.full(1200, 3.0), alpha=0.05)
    assert found.p_worse == pytest.approx(ttest_1samp(d, 0, alternative="less").pvalue, abs=1e-9)
    assert found.difference == pytest.approx(d.mean() / 3, abs=1e-12)


def test_few_documents_of_a_perplexity() -> None:
    six = paired_ratio(
        [-11.0, -12, -13, -14, -15, -16], [-10.0, -11, -12, -13, -14, -15], [1, 2, 3, 4, 5, 6], alpha=0.05
    )
    assert (six.method, six.p_worse) == ("ratio_sign_flip", 1 / 64)
    two = paired_ratio([-11.0, -12], [-10.0, -11], [1, 2], alpha=0.05)
    assert (two.p_worse, two.lower, two.note) == (1, -math.inf, "2 documents: too few to conclude anything")
    assert paired_ratio([], [], [], alpha=0.05).note == "no documents"
    assert paired_ratio([1.0, 2.0], [1.0, 2.0], [1, 1], alpha=0.05).note == "identical"


def test_clusters_of_a_perplexity() -> None:
    d, codes = grouped(20, 5, 0.5)
    found = paired_ratio(d, np.zeros(100), np.ones(100), alpha=0.05, clusters=codes.tolist())
    assert found.stderr == pytest.approx(clustered(d, codes.tolist(), alpha=0.05, seed=0).stderr)
    assert found.clusters == 20


def test_weights_that_cannot_be() -> None:
    for weights in ([0, 0], [-1, 2]):
        with pytest.raises(ValueError, match="weights"):
            paired_ratio([1, 2], [1, 1], weights, alpha=0.05)
    with pytest.raises(ValueError, match="one entry per document"):
        paired_ratio([1, 2], [1, 1], [1], alpha=0.05)
