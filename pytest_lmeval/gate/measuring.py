"""How one metric moved between a run and its baseline: the right test for it, and what it could have seen.

A metric that is the mean of its documents' values is tested on their differences, 0 and 1 by McNemar's test; one that
follows from sums over documents by the ratio estimator or by resampling documents. What has neither is compared by
the standard errors of both values alone, which is labelled, since it sees far less.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pytest_lmeval.gate.bounds import Arms, filled
from pytest_lmeval.gate.detecting import smallest_drop
from pytest_lmeval.gate.evidence import Evidence, Levels
from pytest_lmeval.gate.pairing import Pair
from pytest_lmeval.gate.statistics.binary import mcnemar
from pytest_lmeval.gate.statistics.continuous import clustered, paired_t
from pytest_lmeval.gate.statistics.corpus import corpus_value, has_counts
from pytest_lmeval.gate.statistics.estimate import Estimate
from pytest_lmeval.gate.statistics.ratio import paired_ratio
from pytest_lmeval.gate.statistics.resampling import bootstrap_of_items, paired_bootstrap, upper_median
from pytest_lmeval.gate.unpaired import by_standard_errors
from pytest_lmeval.results import MetricValue

# Perplexities are functions of a mean log-probability: tested there, told in their own unit.
_LOGARITHMIC: Mapping[str, Callable[[float, float], float]] = {
    "perplexity": lambda moved, then: then * (1 - float(np.exp(-moved))),
    "weighted_perplexity": lambda moved, then: then * (1 - float(np.exp(-moved))),
    "bits_per_byte": lambda moved, then: moved / float(np.log(2)),
}


def seed_of(task: str, metric: str) -> int:
    """Derive the seed of a test's random draws: the same each time, another for each metric."""
    return int.from_bytes(hashlib.sha256(f"{task}\n{metric}".encode()).digest()[:4], "big")


def metric_evidence(
    metric: MetricValue, then: MetricValue, pairs: Sequence[Pair], levels: Levels, *, task: str
) -> Evidence:
    """Test one metric on the paired documents."""
    arms = Arms.of(pairs, metric.key)
    seed = seed_of(task, metric.key)
    if metric.aggregation in ("mean", "nanmean") and arms.known:
        return _of_means(metric, arms, pairs, levels, seed)
    if has_counts(metric.aggregation) and _counted(metric, pairs):
        return _of_counts(metric, pairs, levels, seed)
    if metric.aggregation == "median" and (items := Arms.of(pairs, f"{metric.key}/item")).known:
        return _of_median(metric, items, levels, seed)
    return by_standard_errors(metric, then, levels)


def _of_means(metric: MetricValue, arms: Arms, pairs: Sequence[Pair], levels: Levels, seed: int) -> Evidence:
    sign = 1.0 if metric.higher_is_better else -1.0
    clusters = clusters_of(pairs)
    test = _test_for(arms, levels, seed)
    groups = None if clusters is None else [clusters[at] for at in arms.places]
    estimate = test(arms.differences(sign), groups)
    bounds = filled(arms, sign)
    evidence = Evidence(
        metric=metric.key,
        baseline=arms.mean_then,
        value=arms.mean_now,
        higher_is_better=metric.higher_is_better,
        estimate=estimate,
        detectable=0.0,
        missing=arms.missing,
        worst=test(bounds[0], clusters) if bounds else None,
        best=test(bounds[1], clusters) if bounds else None,
    )
    if arms.binary:
        regressed, improved = _flips(arms.differences(sign))
        evidence = replace(evidence, regressed=regressed, improved=improved)
    return replace(evidence, detectable=smallest_drop(evidence, levels))


def _flips(differences: Any) -> tuple[int, int]:
    return int((differences < 0).sum()), int((differences > 0).sum())


def _test_for(arms: Arms, levels: Levels, seed: int) -> Callable[[Any, Sequence[str] | None], Estimate]:
    def test(differences: Any, clusters: Sequence[str] | None) -> Estimate:
        if clusters is not None:
            return clustered(differences, clusters, alpha=levels.bound, seed=seed)
        if arms.binary:
            return mcnemar(*_flips(differences), len(differences), alpha=levels.bound)
        return paired_t(differences, alpha=levels.bound, seed=seed)

    return test


def clusters_of(pairs: Sequence[Pair]) -> list[str] | None:
    """The documents' clusters, None where there are none or each document is its own."""
    named = [pair.now.cluster for pair in pairs]
    # A document without a value of the column belongs to no other.
    labels = [f"#{at}" if name is None else f"={name}" for at, name in enumerate(named)]
    return labels if len(set(labels)) < len(labels) else None


def _counted(metric: MetricValue, pairs: Sequence[Pair]) -> list[Pair]:
    """The pairs whose two runs have statistics of one length: of Matthews' confusion that is one set of classes."""
    both = [pair for pair in pairs if metric.key in pair.now.counts and metric.key in pair.then.counts]
    lengths = {len(counts[metric.key]) for pair in both for counts in (pair.now.counts, pair.then.counts)}
    return both if len(lengths) == 1 else []


def _of_counts(metric: MetricValue, pairs: Sequence[Pair], levels: Levels, seed: int) -> Evidence:
    both = _counted(metric, pairs)
    now = np.array([pair.now.counts[metric.key] for pair in both], dtype=float)
    then = np.array([pair.then.counts[metric.key] for pair in both], dtype=float)
    values = [float(corpus_value(metric.aggregation, arm.sum(axis=0))) for arm in (then, now)]
    if metric.aggregation in _LOGARITHMIC:
        moved = paired_ratio(now[:, 0], then[:, 0], now[:, 1], alpha=levels.bound)
        estimate = _in_own_unit(moved, metric.aggregation, values[0])
    else:
        estimate = paired_bootstrap(
            now,
            then,
            lambda sums: corpus_value(metric.aggregation, sums),
            alpha=levels.bound,
            seed=seed,
            higher_is_better=metric.higher_is_better,
        )
    evidence = Evidence(
        metric=metric.key,
        baseline=values[0],
        value=values[1],
        higher_is_better=metric.higher_is_better,
        estimate=estimate,
        detectable=0.0,
        missing=len(pairs) - len(both),
    )
    return replace(evidence, detectable=smallest_drop(evidence, levels))


def _of_median(metric: MetricValue, items: Arms, levels: Levels, seed: int) -> Evidence:
    now, then = items.now[items.places], items.then[items.places]
    estimate = bootstrap_of_items(
        now, then, upper_median, alpha=levels.bound, seed=seed, higher_is_better=metric.higher_is_better
    )
    evidence = Evidence(
        metric=metric.key,
        baseline=float(upper_median(then)),
        value=float(upper_median(now)),
        higher_is_better=metric.higher_is_better,
        estimate=estimate,
        detectable=0.0,
        missing=items.missing,
    )
    return replace(evidence, detectable=smallest_drop(evidence, levels))


def _in_own_unit(moved: Estimate, aggregation: str, then: float) -> Estimate:
    """Turn a move of the mean log-probability (nats) into one of the metric; both grow together."""
    of = _LOGARITHMIC[aggregation]
    slope = of(1e-6, then) / 1e-6
    return replace(
        moved,
        difference=of(moved.difference, then),
        stderr=None if moved.stderr is None else moved.stderr * slope,
        lower=of(moved.lower, then),
        low=of(moved.low, then),
        high=of(moved.high, then),
    )
