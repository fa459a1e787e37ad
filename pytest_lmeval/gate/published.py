"""Whether a score that somebody wrote down is in the unit in which a task counts."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_lmeval.gate.numbers import format_value
from pytest_lmeval.results import MetricValue

#: By their aggregation: what may be a fraction, is counted from 0 to 100, or cannot be below 1.
_FRACTIONS = ("mean", "nanmean", "median", "f1", "matthews_corrcoef")
_PERCENT = ("bleu", "chrf", "chrf++", "ter")
_AT_LEAST_ONE = ("perplexity", "weighted_perplexity")


def unit_problem(metric: MetricValue, scores: Iterable[float], published: float) -> str | None:
    """Say what is wrong where a published score is a percentage and the metric a fraction, or the other way round.

    ``metric`` is the run's own, ``scores`` those of its documents by this metric (none for corpus metrics). None where
    nothing is wrong, or nothing can be told: a run in which everything scored 0 has no unit.
    """
    if metric.aggregation in _PERCENT:
        if 0 < published < 1:
            return _said(metric, published, "between 0 and 100", 100 * published)
    elif metric.aggregation in _AT_LEAST_ONE:
        if published < 1:
            return f"{_is(metric, published)}, and a perplexity is never below 1"
    elif metric.aggregation in _FRACTIONS and abs(published) > 1 and _is_fraction(metric, scores):
        return _said(metric, published, "between 0 and 1", published / 100)
    return None


def _is_fraction(metric: MetricValue, scores: Iterable[float]) -> bool:
    seen = (metric.value, *scores)
    return any(seen) and all(-1 <= score <= 1 for score in seen)


def _said(metric: MetricValue, published: float, scale: str, meant: float) -> str:
    return f"{_is(metric, published)}, but it is counted {scale} here; is {format_value(meant)} meant?"


def _is(metric: MetricValue, published: float) -> str:
    return f"the published {metric.key} is {format_value(published)}"
