"""From all documents' values to the task's metrics, and what must be said about documents without a value.

A document that reports only some of a task's metrics is the design of tasks with a metric per category: each metric
is over the documents that report it, and its ``n`` counts them. A document that reports nothing, or None or
not-a-number as a value, was not scored. It cannot count as wrong, since nothing says so, nor vanish, as it does in
the reference: it is left out of the metric and its ``n``, the result counts such documents, and the gate does not let
a model gain by them. Values for
``nanmean`` and for the task's own aggregations, which may mean something by a gap, are handed on as they are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pytest_lmeval.errors import LMEvalError
from pytest_lmeval.results import MetricValue, metric_key
from pytest_lmeval.tasks.aggregation import Gaps, is_gap
from pytest_lmeval.tasks.metrics import Metric, repeated
from pytest_lmeval.tasks.spec import TaskSpec

#: One document's values by metric name.
Row = Mapping[str, Any]

_NAMED = 5


class Metrics(Protocol):
    """Knows the metric that a value belongs to."""

    def metric(self, name: str) -> Metric:
        """Return the metric of that name."""


@dataclass(frozen=True, slots=True)
class Aggregated:
    """The metrics after one filter, and each row's additive statistics by metric key, where the metric has such."""

    metrics: list[MetricValue]
    counts: list[dict[str, tuple[float, ...]]]


def aggregated(
    spec: TaskSpec,
    metrics: Metrics,
    filter_name: str,
    rows: Sequence[Row],
    *,
    choices: int = 0,
    field: str = "metric_list",
) -> Aggregated:
    """Reduce the rows to the metrics of one filter pipeline; ``choices`` is how many a document has at most.

    Raises TaskFileError, at ``field``, where an aggregation fails.
    """
    found: list[MetricValue] = []
    counts: list[dict[str, tuple[float, ...]]] = [{} for _ in rows]
    for name in dict.fromkeys(name for row in rows for name in row):
        metric = metrics.metric(name)
        try:
            places = _with_value(metric, [(place, row[name]) for place, row in enumerate(rows) if name in row])
            (value, stderr), own = metric.aggregation.reduce([value for _, value in places], choices)
            found += _values(metric, filter_name, value, stderr, len(places))
        except LMEvalError:
            raise
        except Exception as error:  # aggregations may be the task's own, and raise anything
            problem = f"{metric_key(name, filter_name)}: aggregation {metric.aggregation.name}"
            problem = f"{field}: {problem}: {type(error).__name__}: {error}"
            raise spec.document.error(problem, field) from error
        for (place, _), one in zip(places, own or (), strict=own is not None):
            counts[place][metric_key(name, filter_name)] = one
    return Aggregated(found, counts)


def _with_value(metric: Metric, column: Sequence[tuple[int, Any]]) -> Sequence[tuple[int, Any]]:
    """Leave out documents without a value, where the aggregation is not made for them."""
    gaps = metric.aggregation.gaps
    kept = column if gaps is Gaps.PASSED else [(place, value) for place, value in column if not is_gap(value)]
    if not kept and gaps is Gaps.REPORTED:
        raise ValueError(f"none of {len(column):,} documents has a value")
    return kept


def _values(metric: Metric, filter_name: str, value: Any, stderr: float | None, n: int) -> list[MetricValue]:
    """Name the value. A task's own aggregation may return a mapping: then each entry is a metric, ``f1[8k]``."""
    several = isinstance(value, Mapping)
    entries = {f"{metric.name}[{key}]": part for key, part in value.items()} if several else {metric.name: value}
    return [
        MetricValue(
            name=name,
            filter=filter_name,
            value=float(part),
            stderr=stderr,
            higher_is_better=metric.higher_is_better,
            n=n,
            aggregation="custom" if metric.aggregation.custom else metric.aggregation.name,
        )
        for name, part in entries.items()
    ]


def unreduced(metrics: Metrics, filter_name: str, rows: Sequence[Row]) -> Aggregated:
    """Return the rows' metrics without values: what one document has is not a value of the metric yet."""
    names = dict.fromkeys(name for row in rows for name in row)
    return Aggregated([kind_of(metrics, name, filter_name) for name in names], [{} for _ in rows])


def kind_of(metrics: Metrics, name: str, filter_name: str) -> MetricValue:
    """Return what is known of a metric without its value."""
    metric = metrics.metric(name)
    return MetricValue(
        name=name,
        filter=filter_name,
        value=math.nan,
        stderr=None,
        higher_is_better=metric.higher_is_better,
        n=0,
        aggregation=metric.aggregation.name,
    )


def unscored(metrics: Metrics, filter_name: str, rows: Sequence[Row], indices: Sequence[int]) -> Iterator[str]:
    """Yield one warning for the documents without any value, and one per metric with gaps; ``indices`` name them."""
    after = "" if filter_name == "none" else f" after filter {filter_name}"
    empty = [index for row, index in zip(rows, indices, strict=True) if not row]
    if empty:
        yield f"{_count(empty, rows)} not scored{after}: no metric was reported (first: document {empty[0]})"
    for name in dict.fromkeys(name for row in rows for name in row):
        if metrics.metric(name).aggregation.gaps is Gaps.REPORTED:
            gaps = [index for row, index in zip(rows, indices, strict=True) if name in row and is_gap(row[name])]
            if gaps:
                key = metric_key(name, filter_name)
                yield f"{_count(gaps, rows)} not scored by {key}, which is over the others (first: document {gaps[0]})"


def unscored_by_metric(
    metrics: Metrics, rows: Mapping[str, Sequence[Row]], found: Sequence[MetricValue], errors: int
) -> dict[str, int]:
    """Count the documents without a value by metric key, where there are any.

    ``rows`` are those of the answered documents, by filter; ``errors`` documents were not, and lack every metric.
    """
    counts = dict.fromkeys((metric.key for metric in found), errors)
    for filter_name, column in rows.items():
        for key, count in _gaps(metrics, filter_name, column):
            counts[key] = errors + count
    return {key: count for key, count in counts.items() if count}


def _gaps(metrics: Metrics, filter_name: str, rows: Sequence[Row]) -> Iterator[tuple[str, int]]:
    empty = sum(not row for row in rows)
    for name in dict.fromkeys(name for row in rows for name in row):
        reported = metrics.metric(name).aggregation.gaps is Gaps.REPORTED
        gaps = sum(name in row and is_gap(row[name]) for row in rows) if reported else 0
        yield metric_key(name, filter_name), empty + gaps


def main_metric(spec: TaskSpec, metrics: Sequence[MetricValue]) -> MetricValue:
    """The first that ``gate:`` names, else the one the field quotes (acc_norm, acc), else the first of the file."""
    by_key = {metric.key: metric for metric in metrics}
    return next((by_key[key] for key in (*(spec.gate or ()), "acc_norm", "acc") if key in by_key), metrics[0])


def _count(some: Sequence[int], rows: Sequence[Row]) -> str:
    return f"{len(some):,} of {len(rows):,} documents {'was' if len(some) == 1 else 'were'}"


def unreported(spec: TaskSpec, metrics: Mapping[str, Metric], found: Sequence[MetricValue]) -> Iterator[str]:
    """Yield a warning where the file lists metrics that no document has, or one of several with the same name.

    Raises TaskFileError where no document has any metric.
    """
    reported = {name for metric in found for name in (metric.name, metric.name.partition("[")[0])}
    # What compares texts has done so; a function may report under other names than its own, as pass_at_k does.
    missing = [name for name, metric in metrics.items() if name not in reported and metric.compare is None]
    why = "process_results returned" if spec.process_results is not None else f"{spec.output_type} computes"
    field = "process_results" if spec.process_results is not None else "metric_list"
    if not found:
        raise spec.document.error(f"{field}: {why} no metric", field)
    if missing:
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        yield f"no value for {', '.join(missing[:_NAMED])}{more}: {why} none"
    for name, count in repeated(spec).items():
        yield f"metric_list names {name} {count} times: only the last counts"
