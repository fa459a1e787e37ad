"""Which test each kind of metric gets, and what it is told."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from pytest_lmeval.gate.chance import chance_level
from pytest_lmeval.gate.evidence import Evidence, Levels
from pytest_lmeval.gate.grouped import group_evidence
from pytest_lmeval.gate.measuring import metric_evidence
from pytest_lmeval.gate.pairing import Pair
from pytest_lmeval.gate.statistics.binary import mcnemar
from pytest_lmeval.gate.unpaired import by_standard_errors, with_published
from pytest_lmeval.results import MetricValue
from tests.unit.pairing_of import flipping, metric, pair

LEVELS = Levels(alpha=0.01, bound=0.05)


def measured(pairs: list[Pair], of: MetricValue | None = None, then: MetricValue | None = None) -> Evidence:
    of = of or metric()
    return metric_evidence(of, then or of, pairs, LEVELS, task="rivers")


def test_right_or_wrong_is_tested_by_flips() -> None:
    found = measured(flipping(12, 5, 50, 33))
    assert found.estimate == mcnemar(12, 5, 100, alpha=0.05)
    assert (found.regressed, found.improved, found.flip_rate) == (12, 5, 0.17)
    assert (found.baseline, found.value) == (0.62, 0.55)
    assert found.difference == pytest.approx(-0.07)
    assert found.estimate.difference == pytest.approx(-0.07)
    assert found.detectable > 0.1
    assert found.paired


def test_lower_is_better_turns_the_sign() -> None:
    found = measured(flipping(12, 5, 50, 33), metric(higher_is_better=False))
    assert found.difference == pytest.approx(-0.07)
    assert found.estimate.difference == pytest.approx(0.07)
    assert (found.regressed, found.improved) == (5, 12)


def test_other_values_are_tested_by_their_differences() -> None:
    random = np.random.default_rng(3)
    then = random.uniform(0, 0.5, 200)
    pairs = [
        pair(at, float(t), float(t + d))
        for at, (t, d) in enumerate(zip(then, random.normal(-0.05, 0.1, 200), strict=True))
    ]
    found = measured(pairs)
    assert found.regressed is None
    assert found.estimate.method == "sign_flip"
    assert found.estimate.p_worse < 0.001
    assert found.detectable == pytest.approx(3.168 * (found.estimate.stderr or 0), rel=1e-3)
    assert measured(pairs) == found  # seeded


def test_documents_of_one_cluster_count_together() -> None:
    pairs = [
        replace(p, now=replace(p.now, cluster=f"passage {at // 5}")) for at, p in enumerate(flipping(12, 5, 50, 33))
    ]
    found = measured(pairs)
    assert found.estimate.clusters == 20
    assert (found.regressed, found.improved) == (12, 5)
    alone = [replace(p, now=replace(p.now, cluster=f"{at}")) for at, p in enumerate(flipping(12, 5, 50, 33))]
    assert measured(alone).estimate.clusters is None


def test_missing_values_are_left_out_and_bounded() -> None:
    pairs = [*flipping(12, 5, 50, 31), pair(98, 1.0, None), pair(99, None, 1.0)]
    found = measured(pairs)
    assert (found.missing, found.estimate.n) == (2, 98)
    assert found.worst == mcnemar(13, 5, 100, alpha=0.05)  # lost what it had; the other was right before, too
    assert found.best == mcnemar(12, 6, 100, alpha=0.05)
    unbounded = measured([pair(0, 3.0, 2.0), pair(1, 4.0, 5.0), pair(2, 4.0, None)])
    assert (unbounded.missing, unbounded.worst) == (1, None)


def counted(then: Sequence[tuple[float, ...]], now: Sequence[tuple[float, ...]], key: str) -> list[Pair]:
    pairs = [pair(at, None, None, counts={key: n}) for at, n in enumerate(now)]
    return [replace(p, then=replace(p.then, counts={key: t})) for p, t in zip(pairs, then, strict=True)]


def test_perplexities_move_in_their_own_unit() -> None:
    random = np.random.default_rng(5)
    words = random.integers(20, 200, 300).astype(float)
    then = [(float(-2.5 * w + e), float(w)) for w, e in zip(words, random.normal(0, 3, 300), strict=True)]
    now = [(logprob - 0.01 * w, w) for logprob, w in then]
    key = "word_perplexity"
    of = metric(key, 12.0, aggregation="weighted_perplexity", higher_is_better=False)
    found = measured(counted(then, now, key), of)
    assert found.value / found.baseline == pytest.approx(math.exp(0.01))
    assert found.estimate.difference == pytest.approx(found.baseline - found.value)
    assert found.estimate.p_worse < 1e-3
    assert found.estimate.lower <= found.estimate.difference <= found.estimate.high


def test_corpus_metrics_are_resampled() -> None:
    random = np.random.default_rng(6)
    golds, guesses = random.integers(0, 2, 300), random.integers(0, 2, 300)
    then = [
        (float(g and h), float(h and not g), float(g and not h))
        for g, h in zip(golds, golds | (guesses & (random.random(300) < 0.2)), strict=True)
    ]
    now = [(float(g and h), float(h and not g), float(g and not h)) for g, h in zip(golds, guesses, strict=True)]
    found = measured(counted(then, now, "f1"), metric("f1", aggregation="f1"))
    assert found.value < found.baseline
    assert found.estimate.p_worse < 0.01
    assert found.regressed is None


def test_without_documents_the_standard_errors_are_all_there_is() -> None:
    of, then = metric("own", 0.5, aggregation="custom"), metric("own", 0.6, aggregation="custom")
    found = measured([pair(0, None, None)], of, then)
    assert not found.paired
    assert found.estimate.stderr == pytest.approx(math.hypot(0.02, 0.02))
    assert found.estimate.p_worse == pytest.approx(0.5 * math.erfc(0.1 / math.hypot(0.02, 0.02) / math.sqrt(2)))
    assert "could not be paired" in found.estimate.note
    untested = by_standard_errors(replace(of, stderr=None), then, LEVELS)
    assert (untested.estimate.p_worse, untested.estimate.lower, untested.detectable) == (1.0, -math.inf, math.inf)
    assert by_standard_errors(replace(of, stderr=0.0), replace(of, stderr=0.0), LEVELS).estimate.p_worse == 0.5


def test_published_scores_are_compared_by_the_conservative_rule() -> None:
    found = with_published(metric(value=0.60, n=1319), 0.62, LEVELS, n=1319)
    assert not found.paired
    assert found.estimate.method.startswith("unpaired")
    assert found.estimate.p_worse > 0.05
    assert with_published(metric(value=0.50, n=1319), 0.62, LEVELS).estimate.p_worse < 1e-6
    assert found.detectable > 0.05


def test_groups_pool_what_can_be_pooled() -> None:
    leaves = [measured(flipping(12, 5, 50, 33)), measured(flipping(1, 2, 100, 97))]
    pooled = group_evidence("acc", leaves, [1 / 3, 2 / 3], LEVELS)
    assert replace(pooled.estimate, method="mcnemar") == mcnemar(13, 7, 300, alpha=0.05)
    assert (pooled.regressed, pooled.improved) == (13, 7)
    assert pooled.baseline == pytest.approx((0.62 + 2 * 101 / 200) / 3)
    macro = group_evidence("acc", leaves, [0.5, 0.5], LEVELS)
    assert macro.estimate.difference == pytest.approx((-0.07 + 0.005) / 2)
    assert macro.estimate.difference == pytest.approx(macro.difference)
    assert macro.estimate.stderr is not None


def test_groups_bound_what_is_missing_in_a_leaf() -> None:
    whole, holed = measured(flipping(2, 2, 50, 46)), measured([*flipping(2, 2, 50, 45), pair(99, 1.0, None)])
    found = group_evidence("acc", [whole, holed], [0.5, 0.5], LEVELS)
    assert found.missing == 1
    assert found.worst is not None
    assert found.best is not None
    assert found.worst.difference < found.best.difference
    assert group_evidence("acc", [whole, whole], [0.5, 0.5], LEVELS).worst is None


@pytest.mark.parametrize(("both", "neither", "level"), [(25, 75, 0.25), (20, 80, 0.25), (60, 40, None)])
def test_a_baseline_that_guesses_is_told(both: int, neither: int, level: float | None) -> None:
    pairs = [replace(p, now=replace(p.now, choices=("a", "b", "c", "d"))) for p in flipping(0, 0, both, neither)]
    assert chance_level(pairs, measured(pairs)) == level
    assert chance_level(flipping(0, 0, both, neither), measured(pairs)) is None
