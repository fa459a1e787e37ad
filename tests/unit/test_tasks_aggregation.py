from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable
from typing import Any

import pytest

from pytest_lmeval.tasks.aggregation import AGGREGATIONS, pooled_stderr, unweighted_stderr

STREAM = random.Random(3)
NATS = [-STREAM.expovariate(0.4) for _ in range(300)]
PAIRS = [(-STREAM.uniform(5, 60), STREAM.randrange(4, 40)) for _ in range(300)]
ZERO_ONE = [float(STREAM.random() < 0.3) for _ in range(31)]


@pytest.fixture(scope="module")
def theirs() -> Any:
    return pytest.importorskip("lm_eval.api.metrics", reason="the oracle, lm-eval, is not installed")


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("mean", ZERO_ONE),
        ("mean", [3]),
        ("median", NATS),
        ("median", [4.0, 1.0, 3.0, 2.0]),
        ("perplexity", NATS),
        ("weighted_perplexity", PAIRS),
        ("bits_per_byte", PAIRS),
        ("nanmean", [1.0, math.nan, 4.0]),
    ],
)
def test_values_are_the_references(theirs: Any, name: str, values: list[Any]) -> None:
    assert AGGREGATIONS[name].value(values) == pytest.approx(getattr(theirs, name)(values), rel=1e-14)


def test_the_median_is_the_upper_of_two() -> None:
    assert AGGREGATIONS["median"].value([4.0, 1.0, 3.0, 2.0]) == 3.0


def test_stderr_of_a_mean_is_the_references(theirs: Any) -> None:
    assert AGGREGATIONS["mean"].stderr(ZERO_ONE) == pytest.approx(theirs.mean_stderr(ZERO_ONE), rel=1e-14)


def bootstrap(value: Callable[[Any], float], values: list[Any]) -> float:
    stream = random.Random(11)
    return statistics.stdev(value(stream.choices(values, k=len(values))) for _ in range(600))


@pytest.mark.parametrize(
    ("name", "values"),
    [("mean", ZERO_ONE), ("perplexity", NATS), ("weighted_perplexity", PAIRS), ("bits_per_byte", PAIRS)],
)
def test_stderrs_agree_with_a_bootstrap(name: str, values: list[Any]) -> None:
    aggregation = AGGREGATIONS[name]
    assert aggregation.stderr(values) == pytest.approx(bootstrap(aggregation.value, values), rel=0.1)


@pytest.mark.parametrize("name", ["mean", "perplexity", "nanmean", "weighted_perplexity", "bits_per_byte"])
def test_one_document_has_no_stderr(name: str) -> None:
    single: list[Any] = [(-3.0, 2)] if name in ("weighted_perplexity", "bits_per_byte") else [-1.0]
    assert AGGREGATIONS[name].stderr(single) is None
    assert math.isfinite(AGGREGATIONS[name].value(single))


def test_nanmean_leaves_gaps_out() -> None:
    aggregation = AGGREGATIONS["nanmean"]
    assert aggregation.stderr([1.0, math.nan, 4.0]) == AGGREGATIONS["mean"].stderr([1.0, 4.0])
    assert math.isnan(aggregation.value([math.nan]))


def test_stderrs_of_groups_are_the_references(theirs: Any) -> None:
    stderrs, sizes = [0.01, 0.2, 0.04], [100, 7, 31]
    assert pooled_stderr(stderrs, sizes) == pytest.approx(theirs.pooled_sample_stderr(stderrs, sizes), rel=1e-14)
    assert unweighted_stderr(stderrs) == pytest.approx(theirs.unweighted_mean_stderr(stderrs), rel=1e-14)
    assert pooled_stderr(stderrs, sizes) != pytest.approx(unweighted_stderr(stderrs), rel=0.01)
