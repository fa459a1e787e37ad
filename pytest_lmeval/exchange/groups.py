"""The groups of a run of lm-evaluation-harness, from what it says of them and of their tasks."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from pytest_lmeval.exchange.results import HarnessTask, Score
from pytest_lmeval.results import MetricValue, TaskResult

_SAME = 1e-9


def group_result(group: HarnessTask, leaves: Sequence[TaskResult]) -> TaskResult | None:
    """Make the result of a group of ``leaves``; None for one without metrics, or of none of them.

    Whether a mean weighs its tasks by their size is not logged: it is told by its value, and where that is neither mean
    of the leaves' values, the metric has no weights.
    """
    scores = [score for score in group.scores if _columns(score, leaves)]
    if not scores:
        return None
    metrics = tuple(_metric(score, group, leaves) for score in scores)
    return replace(
        leaves[0],
        task=group.name,
        n=sum(leaf.n for leaf in leaves),
        total=sum(leaf.total for leaf in leaves),
        metrics=metrics,
        main_metric=metrics[0].key,
        items=(),
        members=tuple(leaf.task for leaf in leaves),
        alias=group.alias,
        leaves=tuple(leaves),
        weights={metric.key: weights for metric in metrics if (weights := _weights(metric, leaves))},
    )


def _metric(score: Score, group: HarnessTask, leaves: Sequence[TaskResult]) -> MetricValue:
    columns = _columns(score, leaves)
    first = next(iter(columns.values()))
    return MetricValue(
        name=score.name,
        filter=score.filter,
        value=score.value,
        stderr=score.stderr,
        higher_is_better=group.higher_is_better.get(score.name, first.higher_is_better),
        n=sum(metric.n for metric in columns.values()),
        aggregation="group mean",
    )


def _columns(score: Score | MetricValue, leaves: Sequence[TaskResult]) -> Mapping[str, MetricValue]:
    """The same metric of the leaves that have it, by task."""
    found = ((leaf.task, metric) for leaf in leaves for metric in leaf.metrics)
    return {task: metric for task, metric in found if (metric.name, metric.filter) == (score.name, score.filter)}


def _weights(metric: MetricValue, leaves: Sequence[TaskResult]) -> tuple[float, ...]:
    columns = _columns(metric, leaves)
    for shares in _possible(columns):
        mean = math.fsum(share * columns[task].value for task, share in shares.items())
        if abs(mean - metric.value) <= _SAME * max(1.0, abs(mean)):
            return tuple(shares.get(leaf.task, 0.0) for leaf in leaves)
    return ()


def _possible(columns: Mapping[str, MetricValue]) -> Iterator[dict[str, float]]:
    total = sum(metric.n for metric in columns.values())
    if total:
        yield {task: metric.n / total for task, metric in columns.items()}
    yield dict.fromkeys(columns, 1 / len(columns))
