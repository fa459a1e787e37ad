"""Groups of tasks: what belongs to one, and the mean over its leaves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_lmeval.results import MetricValue, TaskResult, TaskSettings
from pytest_lmeval.suggestions import missing_key
from pytest_lmeval.tasks.aggregation import mean, pooled_stderr, unweighted_stderr
from pytest_lmeval.tasks.gates import check_gate
from pytest_lmeval.tasks.other_scores import named
from pytest_lmeval.tasks.spec import TASK_KEYS, TaskSpec, unknown_key
from pytest_lmeval.tasks.yaml_loader import FunctionReference, TaskDocument

GROUP_KEYS = {"group", "group_alias", "task", "tag", "aggregate_metric_list", "metadata", "gate", "include"}
_AGGREGATE_KEYS = ("metric", "aggregation", "weight_by_size", "filter_list")


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggregate:
    """One entry of ``aggregate_metric_list``: the mean of a metric over the leaves."""

    metric: str
    weight_by_size: bool
    filters: tuple[str, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSpec:
    """A group file. ``members`` are as written: names of tasks, groups or tags, or mappings with overrides."""

    group: str
    alias: str | None
    members: Sequence[str | Mapping[str, Any]]
    aggregates: tuple[Aggregate, ...]
    overrides: Mapping[str, Any]
    gate: Mapping[str, Any] | None
    document: TaskDocument


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A group with its members resolved."""

    spec: GroupSpec
    members: tuple[TaskSpec | Group, ...]

    def leaves(self) -> Iterator[TaskSpec]:
        """Every task below, once each, in order."""
        seen: set[str] = set()
        for task in self._all_leaves():
            if task.task not in seen:
                seen.add(task.task)
                yield task

    def _all_leaves(self) -> Iterator[TaskSpec]:
        for member in self.members:
            if isinstance(member, Group):
                yield from member._all_leaves()
            else:
                yield member

    def groups(self) -> Iterator[Group]:
        """Sub-groups depth first, then this group: an aggregate comes after what it is made of."""
        for member in self.members:
            if isinstance(member, Group):
                yield from member.groups()
        yield self


def parse_group(document: TaskDocument) -> GroupSpec:
    """Check a group file. Raises TaskFileError."""
    data = document.data
    name, members = data.get("group"), data.get("task")
    if not isinstance(name, str):
        raise document.error(f"group: expected a name, found {name!r}", "group")
    members = [members] if isinstance(members, str) else members
    if not isinstance(members, list) or not members:
        raise document.error("task: expected a list of the group's tasks", "task")
    _check_keys(document)
    check_gate(document)
    return GroupSpec(
        group=name,
        alias=None if data.get("group_alias") is None else str(data["group_alias"]),
        members=members,
        aggregates=_aggregates(document, data.get("aggregate_metric_list")),
        overrides={k: v for k, v in data.items() if k not in GROUP_KEYS},
        gate=data.get("gate"),
        document=document,
    )


def _check_keys(document: TaskDocument) -> None:
    """What is not a group's own key changes its tasks, so it must be one of theirs."""
    for key in document.data:
        if key not in GROUP_KEYS and key not in TASK_KEYS:
            raise document.error(unknown_key(key, {*GROUP_KEYS, *TASK_KEYS}), key)


def _aggregates(document: TaskDocument, given: Any) -> tuple[Aggregate, ...]:
    entries = [given] if isinstance(given, Mapping) else given or []
    if not isinstance(entries, list):
        raise document.error(f"aggregate_metric_list: expected a list, found {given!r}", "aggregate_metric_list")
    return tuple(_at(document, place, entry) for place, entry in enumerate(entries))


def _at(document: TaskDocument, place: int, entry: Any) -> Aggregate:
    with document.reading("aggregate_metric_list", place):
        return _aggregate(document, entry)


def _aggregate(document: TaskDocument, entry: Any) -> Aggregate:
    metric = entry.get("metric") if isinstance(entry, Mapping) else None
    if isinstance(metric, FunctionReference):
        # The tasks' own entries call such a metric by the function's name.
        metric = metric.qualified_name.rpartition(".")[2]
    if not isinstance(metric, str):
        problem = f"aggregate_metric_list: expected a metric, found {entry!r}{missing_key('metric', entry)}"
        raise document.error(problem, "aggregate_metric_list")
    for key in entry:
        if key not in _AGGREGATE_KEYS:
            problem = f"aggregate_metric_list: {unknown_key(str(key), _AGGREGATE_KEYS)}"
            raise document.error(problem, "aggregate_metric_list")
    aggregation = entry.get("aggregation", "mean")
    # As in the reference: a function is accepted and the mean is taken all the same.
    if aggregation != "mean" and not isinstance(aggregation, FunctionReference):
        problem = f"aggregate_metric_list: the only aggregation is mean, found {aggregation!r}"
        raise document.error(problem, "aggregate_metric_list")
    filters = entry.get("filter_list")
    names = (filters,) if isinstance(filters, str) else tuple(filters) if filters else None
    return Aggregate(metric=metric, weight_by_size=bool(entry.get("weight_by_size", True)), filters=names)


def aggregate(group: Group, results: Sequence[TaskResult]) -> TaskResult:
    """Combine the leaves' results. Raises TaskFileError where the group names no metric that they have."""
    combined = [pair for entry in group.spec.aggregates for pair in _combined(entry, results)]
    metrics = [metric for metric, _ in combined]
    if not metrics:
        raise group.spec.document.error(f"{group.spec.group}: its tasks have none of the metrics it aggregates")
    return TaskResult(
        task=group.spec.group,
        n=sum(r.n for r in results),
        total=sum(r.total for r in results),
        metrics=tuple(metrics),
        main_metric=metrics[0].key,
        items=(),
        settings=_settings(results),
        tokens=0,
        seconds=0.0,
        members=tuple(r.task for r in results),
        unscored=_unscored(metrics, results),
        alias=group.spec.alias,
        errors=sum(r.errors for r in results),
        leaves=tuple(results),
        weights={metric.key: weights for metric, weights in combined},
    )


def _combined(entry: Aggregate, results: Sequence[TaskResult]) -> Iterator[tuple[MetricValue, tuple[float, ...]]]:
    """Yield the mean for each filter, with the share that each of ``results`` has in it."""
    columns = [[m for m in r.metrics if m.name in (entry.metric, _elsewhere(entry, r))] for r in results]
    for name in dict.fromkeys(m.filter for column in columns for m in column):
        if entry.filters is None or name in entry.filters:
            metrics = [next((m for m in column if m.filter == name), None) for column in columns]
            yield _mean([m for m in metrics if m is not None], weighted=entry.weight_by_size), _shares(metrics, entry)


def _shares(metrics: Sequence[MetricValue | None], entry: Aggregate) -> tuple[float, ...]:
    sizes = [0 if metric is None else metric.n if entry.weight_by_size else 1 for metric in metrics]
    return tuple(size / sum(sizes) for size in sizes)


def _unscored(metrics: Sequence[MetricValue], results: Sequence[TaskResult]) -> dict[str, int]:
    counts = {metric.key: sum(r.unscored.get(metric.key, 0) for r in results) for metric in metrics}
    return {key: count for key, count in counts.items() if count}


def _elsewhere(entry: Aggregate, result: TaskResult) -> str | None:
    """The metric's name where the model gives no log-likelihoods."""
    scoring = result.settings.scoring
    return None if scoring is None else named(entry.metric, scoring)


def _mean(metrics: Sequence[MetricValue], *, weighted: bool) -> MetricValue:
    sizes = [m.n for m in metrics]
    value = sum(m.value * m.n for m in metrics) / sum(sizes) if weighted else mean([m.value for m in metrics])
    first = metrics[0]
    return MetricValue(
        name=first.name,
        filter=first.filter,
        value=value,
        stderr=_stderr(metrics, sizes, weighted=weighted),
        higher_is_better=first.higher_is_better,
        n=sum(sizes),
        aggregation="group mean",
    )


def _stderr(metrics: Sequence[MetricValue], sizes: Sequence[int], *, weighted: bool) -> float | None:
    stderrs = [m.stderr for m in metrics if m.stderr is not None]
    if len(stderrs) < len(metrics):
        return None
    return pooled_stderr(stderrs, sizes) if weighted else unweighted_stderr(stderrs)


def _settings(results: Sequence[TaskResult]) -> TaskSettings:
    """A group's settings are its first leaf's, with one hash over all the leaves' hashes."""
    from pytest_lmeval.tasks.questions import content_hash

    first = results[0].settings
    return TaskSettings(
        dataset=first.dataset,
        dataset_config=None,
        split=first.split,
        num_fewshot=first.num_fewshot,
        seed=first.seed,
        limit=first.limit,
        output_type=first.output_type,
        generation=first.generation,
        task_hash=content_hash(sorted((r.task, r.settings.task_hash) for r in results))[:16],
        version=first.version,
        scoring=first.scoring,
    )
