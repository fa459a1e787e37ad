"""A run against its baseline: first whether they are comparable, then by how much each metric moved."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pytest_lmeval.baselines.record import Baseline, plain_settings
from pytest_lmeval.gate.numbers import is_fraction
from pytest_lmeval.gate.pairing import Pair, Pairing, pair_items
from pytest_lmeval.gate.policy import MetricRule, ModelPolicy
from pytest_lmeval.gate.thresholds import find_metric
from pytest_lmeval.results import MetricValue, TaskResult

#: How far a metric may move unnoticed where the task's gate says nothing: one point, or one percent.
DEFAULT_POINTS = 0.01
DEFAULT_SHARE = 0.01
# 0.42 - 0.41 is 0.010000000000000009: a move of exactly the tolerance is within it.
_SLACK = 1e-9
# A baseline's per-item values have six digits; their mean is the metric if it agrees this closely.
_SAME_MEAN = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Something that makes a run and its baseline incomparable. ``then`` and ``now`` are for people."""

    what: str
    then: str = ""
    now: str = ""

    def __str__(self) -> str:
        return f"{self.what} ({self.then} -> {self.now})" if self.then or self.now else self.what


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricChange:
    """One metric, then and now, over the same documents; everything in the metric's own unit.

    ``worsening`` is positive where the metric got worse, whichever direction that is. ``gated`` metrics decide
    the verdict, the others are shown.
    """

    metric: str
    baseline: float
    value: float
    worsening: float
    tolerance: float
    gated: bool

    @property
    def difference(self) -> float:
        """``value`` minus ``baseline``."""
        return self.value - self.baseline

    @property
    def fraction(self) -> bool:
        """Whether both values are on the scale of accuracies, so that the difference reads as points."""
        return is_fraction(self.value, self.baseline)

    @property
    def worse(self) -> bool:
        """Whether the metric got worse by more than the tolerance. Not-a-number is worse than anything."""
        return not self.worsening <= self._limit

    @property
    def better(self) -> bool:
        """Whether the metric got better by more than the tolerance."""
        return self.worsening < -self._limit

    @property
    def _limit(self) -> float:
        size = abs(self.baseline) if math.isfinite(self.baseline) else 0.0
        return self.tolerance + _SLACK * max(1.0, size)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What came of the comparison. Where ``changed`` is not empty there are no numbers.

    ``paired`` documents were compared of ``n_now`` asked and ``n_then`` recorded. ``regressed`` and ``improved``
    are the indices (in this run) of the documents that the main metric now calls wrong, or right, and did
    not before. ``uncompared`` are metrics for which no comparison is possible. ``gained`` tells that the run
    has documents or metrics which the baseline lacks.
    """

    created: str
    changed: tuple[Change, ...]
    n_now: int
    n_then: int
    paired: int
    metrics: tuple[MetricChange, ...] = ()
    regressed: tuple[int, ...] = ()
    improved: tuple[int, ...] = ()
    uncompared: tuple[str, ...] = ()
    gained: bool = False

    @property
    def worse(self) -> tuple[MetricChange, ...]:
        """The gated metrics that got worse beyond their tolerance."""
        return tuple(change for change in self.metrics if change.gated and change.worse)

    @property
    def better(self) -> tuple[MetricChange, ...]:
        """The gated metrics that got better beyond their tolerance."""
        return tuple(change for change in self.metrics if change.gated and change.better)

    @property
    def holds(self) -> bool:
        """Whether the baseline still describes the run, so that recording again would only be noise."""
        return not (self.changed or self.worse or self.better or self.gained)

    def of(self, metric: str) -> MetricChange | None:
        """Find the change of one metric."""
        return next((change for change in self.metrics if change.metric == metric), None)


def compare(result: TaskResult, baseline: Baseline, policy: ModelPolicy) -> Comparison:
    """Compare a run with its baseline. Raises UserError where the gate names a metric the task lacks.

    Gated are the task's main metric and those that its gate names: gating all would let each further metric
    raise false alarms.
    """
    pairing = pair_items(result.items, baseline)
    rules = {find_metric(result, key).key: rule for key, rule in policy.rules.items()}
    gated = {find_metric(result, result.main_metric).key, *rules}
    complete = pairing.complete and result.n == baseline.n
    values = dict(_values(result, baseline, pairing, complete=complete))
    changed = (
        *_changed_settings(result, baseline),
        *_changed_content(result, baseline, pairing),
        *_changed_metrics(result, baseline, gated),
        *(_changed_scoring(result, baseline, gated) if complete else ()),
    )
    if not changed:
        changed = tuple(_unpairable(gated - values.keys(), result, baseline))
    numbers = not changed
    main = find_metric(result, result.main_metric)
    return Comparison(
        created=baseline.created,
        changed=changed,
        n_now=result.n,
        n_then=baseline.n,
        paired=len(pairing.pairs) if result.items else result.n,
        metrics=_metric_changes(result, values, rules, gated) if numbers else (),
        regressed=_flips(pairing.pairs, main, then=1.0, now=0.0) if numbers else (),
        improved=_flips(pairing.pairs, main, then=0.0, now=1.0) if numbers else (),
        uncompared=tuple(metric.key for metric in result.metrics if metric.key not in values),
        gained=bool(pairing.added or any(baseline.metric(metric.key) is None for metric in result.metrics)),
    )


def _changed_settings(result: TaskResult, baseline: Baseline) -> Iterator[Change]:
    """Name the settings that differ. ``limit`` does not count: it chooses documents, and these are paired."""
    now, then = plain_settings(result.settings), baseline.settings
    if result.task != baseline.task:
        yield Change(what="task", then=_brief(baseline.task), now=_brief(result.task))
    for name in type(now).__dataclass_fields__:
        old, new = getattr(then, name), getattr(now, name)
        if old == new or name == "limit":
            continue
        if name == "generation":
            yield from _changed_generation(old or {}, new or {})
        elif name == "task_hash":
            # The hashes would say nothing to a person.
            yield Change(what="task definition")
        else:
            yield Change(what=name, then=_brief(old), now=_brief(new))


def _changed_generation(then: Mapping[str, object], now: Mapping[str, object]) -> Iterator[Change]:
    for key in sorted({*then, *now}):
        if then.get(key) != now.get(key):
            what = f"generation settings: {key}"
            yield Change(what=what, then=_brief(then.get(key)), now=_brief(now.get(key)))


def _changed_content(result: TaskResult, baseline: Baseline, pairing: Pairing) -> Iterator[Change]:
    if result.members != baseline.members:
        yield Change(what="members of the group")
    if result.total != baseline.total:
        yield Change(what="documents in the split", then=f"{baseline.total:,}", now=f"{result.total:,}")
    for part in pairing.changed:
        yield Change(what=part)
    if bool(result.items) != bool(baseline.items):
        yield Change(what="documents", then=f"{len(baseline.items):,}", now=f"{len(result.items):,}")
    elif result.items and not pairing.pairs and not pairing.changed:
        yield Change(what="documents: none was asked in both runs")


def _changed_metrics(result: TaskResult, baseline: Baseline, gated: set[str]) -> Iterator[Change]:
    for metric in result.metrics:
        then = baseline.metric(metric.key)
        if then is None and metric.key in gated:
            yield Change(what="metrics", then=_keys(baseline.metrics), now=_keys(result.metrics))
            return
        if then is not None and then.higher_is_better != metric.higher_is_better:
            yield Change(what=f"direction of {metric.key}")


def _changed_scoring(result: TaskResult, baseline: Baseline, gated: set[str]) -> Iterator[Change]:
    """Refuse to compare means of the same documents where one leaves out some that could not be scored."""
    for metric in result.metrics:
        then = baseline.metric(metric.key)
        if metric.key in gated and then is not None and then.n != metric.n:
            yield Change(what=f"documents that {metric.key} could score", then=f"{then.n:,}", now=f"{metric.n:,}")


def _unpairable(metrics: set[str], result: TaskResult, baseline: Baseline) -> Iterator[Change]:
    """Refuse, rather than pass, what is gated and has no value for a part of the documents."""
    for key in sorted(metrics):
        what = f"documents, and {key} cannot be computed for the shared ones alone"
        yield Change(what=what, then=f"{baseline.n:,}", now=f"{result.n:,}")


def _values(
    result: TaskResult, baseline: Baseline, pairing: Pairing, *, complete: bool
) -> Iterator[tuple[str, tuple[float, float]]]:
    """Give each metric that can be compared with its values over the paired documents, then and now."""
    for metric in result.metrics:
        then = baseline.metric(metric.key)
        if then is None:
            continue
        if complete:
            yield metric.key, (then.value, metric.value)
        elif _is_mean(metric, result, then, baseline):
            yield metric.key, _paired_means(metric.key, pairing.pairs)


def _is_mean(metric: MetricValue, result: TaskResult, then: MetricValue, baseline: Baseline) -> bool:
    """Tell an accuracy, the mean of its items' values, from a perplexity, which is more than that."""
    return _agrees(metric, [item.scores.get(metric.key) for item in result.items]) and _agrees(
        then, [item.scores.get(metric.key) for item in baseline.items]
    )


def _agrees(metric: MetricValue, values: Sequence[float | None]) -> bool:
    known = [value for value in values if value is not None]
    if not known or len(known) < len(values):
        return False
    mean = math.fsum(known) / len(known)
    return math.isclose(mean, metric.value, rel_tol=_SAME_MEAN, abs_tol=_SAME_MEAN)


def _paired_means(key: str, pairs: Sequence[Pair]) -> tuple[float, float]:
    # No pairs: the runs are incomparable, which is said elsewhere; these numbers are not shown.
    count = len(pairs) or 1
    then = math.fsum(pair.then.scores[key] for pair in pairs) / count
    return then, math.fsum(pair.now.scores[key] for pair in pairs) / count


def _metric_changes(
    result: TaskResult,
    values: Mapping[str, tuple[float, float]],
    rules: Mapping[str, MetricRule],
    gated: set[str],
) -> tuple[MetricChange, ...]:
    compared = [metric for metric in result.metrics if metric.key in values]
    return tuple(
        _metric_change(metric, *values[metric.key], rules.get(metric.key), gated=metric.key in gated)
        for metric in compared
    )


def _metric_change(
    metric: MetricValue, then: float, now: float, rule: MetricRule | None, *, gated: bool
) -> MetricChange:
    given = rule.margin.of(then) if rule and rule.margin else None
    return MetricChange(
        metric=metric.key,
        baseline=then,
        value=now,
        worsening=then - now if metric.higher_is_better else now - then,
        tolerance=_default_tolerance(then, now) if given is None else given,
        gated=gated,
    )


def _default_tolerance(then: float, now: float) -> float:
    if is_fraction(then, now):
        return DEFAULT_POINTS
    # An infinite baseline would tolerate everything.
    return abs(then) * DEFAULT_SHARE if math.isfinite(then) else 0.0


def _flips(pairs: Sequence[Pair], metric: MetricValue, *, then: float, now: float) -> tuple[int, ...]:
    key = metric.key
    return tuple(
        pair.now.index for pair in pairs if pair.then.scores.get(key) == then and pair.now.scores.get(key) == now
    )


def _keys(metrics: Sequence[MetricValue]) -> str:
    return ", ".join(metric.key for metric in metrics)


def _brief(value: object) -> str:
    """Show a value on one line; repr, because a task file may hold control characters."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
