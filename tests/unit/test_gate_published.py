"""A published percentage beside a fraction, and the other way round."""

from __future__ import annotations

import pytest

from pytest_lmeval.gate.published import unit_problem
from pytest_lmeval.results import MetricValue


def metric(value: float, aggregation: str = "mean") -> MetricValue:
    return MetricValue(
        name="score",
        filter="none",
        value=value,
        stderr=None,
        higher_is_better=True,
        n=10,
        aggregation=aggregation,
    )


@pytest.mark.parametrize(
    ("own", "scores", "published", "problem"),
    [
        (metric(0.6), (0, 1), 62.0, "score is 62.000, but it is counted between 0 and 1 here; is 0.6200 meant?"),
        (metric(-0.1, "matthews_corrcoef"), (), 31.0, "is 31.000, but it is counted between 0 and 1 here; is 0.3100"),
        (metric(27.4, "bleu"), (), 0.281, "is 0.2810, but it is counted between 0 and 100 here; is 28.100 meant?"),
        (metric(8.3, "weighted_perplexity"), (), 0.83, "is 0.8300, and a perplexity is never below 1"),
    ],
)
def test_another_unit_is_told(own: MetricValue, scores: tuple[float, ...], published: float, problem: str) -> None:
    said = unit_problem(own, scores, published)
    assert said is not None
    assert problem in said


@pytest.mark.parametrize(
    ("own", "scores", "published"),
    [
        (metric(0.6), (0, 1), 0.62),
        (metric(0.6), (0, 1), 1.0),
        (metric(0.6), (0, 1), 0.0),
        # Tasks that count to a hundred themselves.
        (metric(0.5), (0.0, 100.0, 0.0), 62.0),
        (metric(0.0), (0, 0), 62.0),
        (metric(27.4, "bleu"), (), 28.1),
        (metric(0.0, "bleu"), (), 0.0),
        (metric(8.3, "perplexity"), (), 7.9),
        (metric(0.9, "bits_per_byte"), (), 1.1),
    ],
)
def test_the_same_unit_is_fine(own: MetricValue, scores: tuple[float, ...], published: float) -> None:
    assert unit_problem(own, scores, published) is None
