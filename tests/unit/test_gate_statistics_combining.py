from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t

from pytest_lmeval.gate.statistics.binary import mcnemar, mid_p, tango_interval
from pytest_lmeval.gate.statistics.combining import largest_drop, pooled_binary, stratified
from pytest_lmeval.gate.statistics.continuous import paired_t

CHECKED = settings(max_examples=80, deadline=None)
COUNTS = st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(1, 200)).map(
    lambda found: (found[0], found[1], found[0] + found[1] + found[2])
)
TASKS = st.lists(COUNTS, min_size=1, max_size=8)


@CHECKED
@given(TASKS)
def test_weights_by_documents_are_the_pooled_counts(counts: list[tuple[int, int, int]]) -> None:
    parts = [mcnemar(*count, alpha=0.05) for count in counts]
    found = stratified(parts, [part.n for part in parts], alpha=0.05)
    pooled = pooled_binary(counts, alpha=0.05)
    assert (found.method, pooled.method) == ("stratified_mcnemar", "pooled_mcnemar")
    assert found.n == pooled.n == sum(n for _, _, n in counts)
    for name in ("difference", "p_worse", "p_better", "lower", "low", "high"):
        assert getattr(found, name) == pytest.approx(getattr(pooled, name), abs=1e-7)


@CHECKED
@given(TASKS)
def test_of_any_weights(counts: list[tuple[int, int, int]]) -> None:
    parts = [mcnemar(*count, alpha=0.05) for count in counts]
    weights = np.random.default_rng(len(counts)).uniform(0.1, 1, len(parts)).tolist()
    found = stratified(parts, weights, alpha=0.05)
    share = np.asarray(weights) / sum(weights)
    assert found.difference == pytest.approx(sum(w * part.difference for w, part in zip(share, parts, strict=True)))
    assert found.low <= found.difference <= found.high
    assert found.lower <= found.difference
    assert found.high > found.low
    assert 0 <= found.p_worse <= 1
    mirrored = stratified([mcnemar(c, b, n, alpha=0.05) for b, c, n in counts], weights, alpha=0.05)
    assert mirrored.p_worse == pytest.approx(found.p_better, abs=1e-9)
    assert stratified(parts, [7 * w for w in weights], alpha=0.05).lower == pytest.approx(found.lower, abs=1e-9)


def test_groups_in_which_nothing_changed_have_a_width() -> None:
    found = stratified([mcnemar(0, 0, 100, alpha=0.05), mcnemar(0, 0, 300, alpha=0.05)], [1, 1], alpha=0.05)
    assert found.p_worse == 1
    # Halves of 100 and 300 documents vary as one task of 300 does: 1 / (1/4 · 1/100 + 1/4 · 1/300).
    assert found.lower == pytest.approx(mcnemar(0, 0, 300, alpha=0.05).lower, abs=1e-9)


def test_a_change_in_a_task_that_weighs_little() -> None:
    found = stratified([mcnemar(0, 0, 10, alpha=0.05), mcnemar(1, 0, 1000, alpha=0.05)], [1, 1], alpha=0.05)
    assert found.difference == pytest.approx(-0.0005)
    assert found.low < found.difference < found.high
    # Its one change is worth less than the mean moved: as many changes as that takes, all for the worse.
    size = 1 / (0.25 / 10 + 0.25 / 1000)
    assert found.p_worse == pytest.approx(mid_p(0.0005 * size, 0), abs=1e-12)
    assert found.lower == pytest.approx(tango_interval(0.0005 * size, 0, size, 0.9)[0], abs=1e-12)


def test_means_are_combined_with_their_variances() -> None:
    random = np.random.default_rng(0)
    parts = [paired_t(random.normal(-0.1, 1, n), alpha=0.05, seed=1, permutations=100) for n in (30, 50)]
    found = stratified(parts, [0.25, 0.75], alpha=0.05)
    variances = [(w * float(part.stderr or 0)) ** 2 for w, part in zip((0.25, 0.75), parts, strict=True)]
    assert found.stderr == pytest.approx(math.sqrt(sum(variances)))
    df = sum(variances) ** 2 / (variances[0] ** 2 / 29 + variances[1] ** 2 / 49)
    assert found.p_worse == pytest.approx(t.cdf(found.difference / math.sqrt(sum(variances)), df), abs=1e-9)
    assert found.method == "stratified"


def test_one_task_alone_is_itself() -> None:
    part = paired_t(np.random.default_rng(0).normal(-0.1, 1, 2000), alpha=0.05, seed=1)
    found = stratified([part, replace(part, difference=9.0)], [1, 0], alpha=0.05)
    for name in ("difference", "p_worse", "lower", "low", "high", "n"):
        assert getattr(found, name) == pytest.approx(getattr(part, name), abs=1e-9)


def test_binary_tasks_beside_others() -> None:
    parts = [mcnemar(5, 2, 100, alpha=0.05), paired_t(np.linspace(-1, 0.9, 50), alpha=0.05, seed=1)]
    found = stratified(parts, [0.5, 0.5], alpha=0.05)
    assert found.method == "stratified"
    assert found.stderr == pytest.approx(math.hypot(*(0.5 * float(part.stderr or 0) for part in parts)))


def test_groups_that_conclude_nothing() -> None:
    one = paired_t([0.5], alpha=0.05, seed=1)
    found = stratified([one, mcnemar(5, 2, 100, alpha=0.05)], [1, 1], alpha=0.05)
    assert (found.p_worse, found.lower, found.note) == (1, -math.inf, "a part has no standard error")
    assert stratified([], [], alpha=0.05).note == "no documents"
    assert pooled_binary([], alpha=0.05).note == "no documents"
    same = paired_t([0.0, 0.0], alpha=0.05, seed=1)
    assert stratified([same, same], [1, 1], alpha=0.05).note == "identical"


def test_weights_that_cannot_be() -> None:
    part = mcnemar(5, 2, 100, alpha=0.05)
    for weights in ([1], [1, -1], [0, 0], [1, math.nan]):
        with pytest.raises(ValueError, match="weights"):
            stratified([part, part], weights, alpha=0.05)


def test_the_task_that_collapsed() -> None:
    quiet = [(10, 11, 500)] * 9
    found = largest_drop([*quiet, (40, 5, 500)], seed=1)
    assert found is not None
    assert found.position == 9
    assert found.p < 0.001
    nothing = largest_drop(quiet, seed=1)
    assert nothing is not None
    assert nothing.p > 0.5
    assert largest_drop([(0, 0, 50)], seed=1) is None
    assert largest_drop([], seed=1) is None
    assert found == largest_drop([*quiet, (40, 5, 500)], seed=1)


def test_a_single_task_is_the_exact_test() -> None:
    found = largest_drop([(7, 1, 21)], seed=1, draws=50_000)
    assert found is not None
    assert found.p == pytest.approx(9 / 256, abs=0.005)


def test_tasks_without_a_change_have_not_fallen() -> None:
    found = largest_drop([(0, 0, 50), (1, 4, 50)], seed=1)
    assert found is not None
    assert found.position == 1
