from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from pytest_lmeval.gate.statistics import resampling
from pytest_lmeval.gate.statistics.continuous import clustered
from pytest_lmeval.gate.statistics.corpus import corpus_value
from pytest_lmeval.gate.statistics.estimate import Estimate
from pytest_lmeval.gate.statistics.resampling import bootstrap_of_items, paired_bootstrap, upper_median

CHECKED = settings(max_examples=50, deadline=None)
Array = np.ndarray[Any, np.dtype[np.float64]]


def mean(sums: Array) -> Array:
    return np.asarray(sums[..., 0] / sums[..., 1])


def as_counts(values: Array) -> Array:
    return np.stack([values, np.ones(len(values))], axis=1)


def two_runs(n: int, shift: float = 0.0, seed: int = 0) -> tuple[Array, Array]:
    random = np.random.default_rng(seed)
    then = random.normal(0, 1, n)
    return then + random.normal(shift, 0.3, n), then


def test_of_a_mean_it_is_the_paired_test() -> None:
    now, then = two_runs(400, -0.02)
    found = paired_bootstrap(as_counts(now), as_counts(then), mean, alpha=0.05, seed=1, resamples=5000)
    d = now - then
    stderr = d.std(ddof=1) / 20
    assert found.difference == pytest.approx(d.mean(), abs=1e-12)
    assert found.stderr == pytest.approx(stderr, rel=0.05)
    assert found.low == pytest.approx(d.mean() - 1.96 * stderr, abs=0.15 * stderr)
    assert found.lower == pytest.approx(d.mean() - 1.645 * stderr, abs=0.15 * stderr)
    assert found.p_worse == pytest.approx(norm.cdf(d.mean() / stderr), abs=0.02)
    assert found.p_better == pytest.approx(norm.sf(d.mean() / stderr), abs=0.02)
    assert (found.method, found.n, found.clusters, found.note) == ("paired_bootstrap", 400, None, "")


@CHECKED
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=5, max_size=8))
def test_few_documents_are_exchanged_in_all_ways(pairs: list[tuple[int, int]]) -> None:
    now, then = (np.asarray(arm, dtype=float) for arm in zip(*pairs, strict=True))
    found = paired_bootstrap(as_counts(now), as_counts(then), mean, alpha=0.05, seed=1, resamples=100)
    d = [int(a - b) for a, b in zip(now, then, strict=True)]
    sums = [sum(s * v for s, v in zip(signs, d, strict=True)) for signs in product((-1, 1), repeat=len(d))]
    assert found.p_worse == pytest.approx(sum(s <= sum(d) for s in sums) / len(sums), abs=1e-12)
    assert found.p_better == pytest.approx(sum(s >= sum(d) for s in sums) / len(sums), abs=1e-12)


@CHECKED
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_of_any_counts(seed: int, higher: bool) -> None:
    random = np.random.default_rng(seed)
    now, then = random.integers(0, 6, (2, 30, 3)).astype(float)

    def compare(one: Array, other: Array) -> Estimate:
        return paired_bootstrap(
            one, other, lambda s: corpus_value("f1", s), alpha=0.05, seed=seed, resamples=200, swaps=300,
            higher_is_better=higher,
        )  # fmt: skip

    found = compare(now, then)
    assert found == compare(now, then)
    assert found.low <= found.difference <= found.high
    assert found.lower <= found.difference
    assert 0 < found.p_worse <= 1
    assert found.p_worse + found.p_better >= 1
    mirrored = compare(then, now)
    assert mirrored.difference == pytest.approx(-found.difference)
    assert mirrored.p_worse == pytest.approx(found.p_better)
    assert mirrored.low == pytest.approx(-found.high)


def test_lower_is_better_for_perplexities() -> None:
    then = np.stack([-np.random.default_rng(0).uniform(20, 30, 60), np.full(60, 10.0)], axis=1)
    now = then * [1.05, 1]
    found = paired_bootstrap(
        now, then, lambda s: corpus_value("weighted_perplexity", s), alpha=0.01, seed=1, higher_is_better=False
    )
    assert found.difference < 0
    assert found.p_worse < 0.001
    assert found.high < 0


def test_whole_clusters_are_resampled() -> None:
    random = np.random.default_rng(0)
    codes = np.repeat(range(30), 10)
    d = np.repeat(random.normal(0, 1, 30), 10) + random.normal(0, 1, 300)
    found = paired_bootstrap(as_counts(d), as_counts(np.zeros(300)), mean, alpha=0.05, seed=1, clusters=codes.tolist())
    expected = clustered(d, codes.tolist(), alpha=0.05, seed=1)
    assert found.stderr == pytest.approx(expected.stderr, rel=0.1)
    assert found.p_worse == pytest.approx(expected.p_worse, abs=0.03)
    assert (found.n, found.clusters) == (300, 30)


def test_identical_runs_and_none() -> None:
    counts = np.random.default_rng(0).integers(0, 5, (40, 2)).astype(float)
    same = paired_bootstrap(counts, counts, mean, alpha=0.01, seed=1)
    assert (same.difference, same.p_worse, same.lower, same.high, same.note) == (0, 1, 0, 0, "identical")
    none = paired_bootstrap(np.zeros((0, 2)), np.zeros((0, 2)), mean, alpha=0.01, seed=1)
    assert (none.n, none.p_worse, none.lower, none.note) == (0, 1, -math.inf, "no documents")
    assert bootstrap_of_items([], [], upper_median, alpha=0.01, seed=1).note == "no documents"


def test_few_documents_conclude_nothing() -> None:
    now, then = two_runs(4, -3)
    found = paired_bootstrap(as_counts(now), as_counts(then), mean, alpha=0.05, seed=1)
    assert (found.p_worse, found.lower, found.note) == (1, -math.inf, "4 documents: too few to conclude anything")
    now, then = two_runs(8, -3)
    assert paired_bootstrap(as_counts(now), as_counts(then), mean, alpha=0.05, seed=1).note == "few documents (8)"


def test_an_infinite_perplexity_is_worse_than_any() -> None:
    then = np.stack([np.full(30, -20.0), np.full(30, 10.0)], axis=1)
    now = then.copy()
    now[:20, 0] = -1e9
    found = paired_bootstrap(
        now, then, lambda s: corpus_value("weighted_perplexity", s), alpha=0.05, seed=1, higher_is_better=False
    )
    assert found.difference == found.lower == found.low == -math.inf
    assert found.stderr is None


def test_a_small_level_takes_more_resamples() -> None:
    sizes: list[int] = []

    def counted(sums: Array) -> Array:
        sizes.append(sums[..., 0].size)
        return mean(sums)

    now, then = two_runs(40)
    paired_bootstrap(as_counts(now), as_counts(then), counted, alpha=0.001, seed=1, swaps=100)
    assert sum(sizes) >= 2 * (10_000 + 100)


def test_fewer_exchanges_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resampling, "_BUDGET", 60_000)
    now, then = two_runs(30)
    found = paired_bootstrap(as_counts(now), as_counts(then), mean, alpha=0.05, seed=1, resamples=100)
    assert found.note == "p from 2000 exchanges instead of 10000"
    assert found.p_worse * 2001 == pytest.approx(round(found.p_worse * 2001))


def test_medians() -> None:
    now, then = two_runs(300, -0.6)
    found = bootstrap_of_items(now, then, upper_median, alpha=0.01, seed=1, resamples=500, swaps=500)
    assert found.difference == pytest.approx(sorted(now)[150] - sorted(then)[150])
    assert found.p_worse < 0.01
    assert found.low <= found.difference <= found.high < 0
    flipped = bootstrap_of_items(
        now, then, upper_median, alpha=0.01, seed=1, resamples=500, swaps=500, higher_is_better=False
    )
    assert flipped.difference == -found.difference
    assert flipped.p_better == found.p_worse


def test_bounds_hold_a_difference_that_resamples_miss() -> None:
    """The largest of many values is not in every resample, and no resample has a larger one."""

    def largest(values: Array) -> Array:
        return np.asarray(values.max(axis=-1))

    then = np.arange(40.0)
    now = then.copy()
    now[-1] = 1000.0
    found = bootstrap_of_items(now, then, largest, alpha=0.05, seed=1)
    assert found.difference == found.high == 961
    falling = bootstrap_of_items(then, now, largest, alpha=0.7, seed=1)
    assert falling.lower == falling.difference == -961


def test_shapes_that_do_not_agree() -> None:
    with pytest.raises(ValueError, match="one shape"):
        paired_bootstrap(np.ones((3, 2)), np.ones((4, 2)), mean, alpha=0.05, seed=1)
    with pytest.raises(ValueError, match="one length"):
        bootstrap_of_items([1.0, 2], [1.0], upper_median, alpha=0.05, seed=1)
