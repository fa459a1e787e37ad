"""The metrics of a logged task, and what each document adds to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pytest_lmeval.exchange.items import Values
from pytest_lmeval.exchange.readings import Reading
from pytest_lmeval.exchange.results import HarnessTask
from pytest_lmeval.exchange.samples import Sample
from pytest_lmeval.results import MetricValue, metric_key
from pytest_lmeval.tasks.aggregation import Counts, is_gap
from pytest_lmeval.tasks.metrics import Metric


def metrics_of_log(task: HarnessTask, reading: Reading, samples: Sequence[Sample]) -> tuple[MetricValue, ...]:
    """Return the metrics as lm-evaluation-harness computed them, each with the number of documents it is over."""
    return tuple(
        MetricValue(
            name=score.name,
            filter=score.filter,
            value=score.value,
            stderr=score.stderr,
            higher_is_better=(metric := reading.metric(score.name)).higher_is_better,
            n=sum(score.name in _values(sample, score.filter) for sample in samples) or task.n,
            aggregation="custom" if metric.aggregation.custom else metric.aggregation.name,
        )
        for score in task.scores
    )


def values_of(samples: Sequence[Sample], reading: Reading, *, choices: int) -> list[Values]:
    """Return each document's scores and statistics; ``choices`` is how many a document has at most."""
    found = [Values({}, {}) for _ in samples]
    names = {(name, filtered) for sample in samples for filtered, one in sample.filters.items() for name in one.values}
    for name, filter_name in sorted(names):
        column = [_values(sample, filter_name).get(name) for sample in samples]
        _add(found, metric_key(name, filter_name), reading.metric(name), column, choices)
    return found


def _add(found: list[Values], key: str, metric: Metric, column: Sequence[Any], choices: int) -> None:
    kept = [(at, _pair(value)) for at, value in enumerate(column) if not is_gap(value)]
    for at, value in kept:
        found[at].scores.update(_per_document(metric, key, value))
    statistics = _counts(metric, [value for _, value in kept], choices)
    for (at, _), one in zip(kept, statistics, strict=True) if statistics is not None else ():
        found[at].counts[key] = tuple(one)


# JSON has no tuples, and knows of numpy's arrays only the text: what a metric cannot read of that is left out, and the
# gate then compares the metric as a whole.
_UNREADABLE = (TypeError, ValueError, KeyError, IndexError, ImportError)


def _per_document(metric: Metric, key: str, value: Any) -> dict[str, float]:
    try:
        return metric.aggregation.per_document(key, value)
    except _UNREADABLE:
        return {}


def _counts(metric: Metric, values: Sequence[Any], choices: int) -> Counts | None:
    aggregation = metric.aggregation
    try:
        if aggregation.together is not None:
            return aggregation.together(values)[1] if values else None
        return None if aggregation.counts is None else aggregation.counts(values, choices)
    except _UNREADABLE:
        return None


def _pair(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _values(sample: Sample, filter_name: str) -> Any:
    filtered = sample.filters.get(filter_name)
    return {} if filtered is None else filtered.values
