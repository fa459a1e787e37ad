"""Absolute thresholds: a metric's point value against the bounds of the task's gate.

The point is compared, not a confidence bound: who writes ``min: 0.3`` expects 0.2999 to fail. Documents that could
not be scored count against the model here: what makes itself unscorable must not pass by it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pytest_lmeval.gate.numbers import format_value
from pytest_lmeval.gate.policy import GateSyntaxError, MetricRule, ModelPolicy
from pytest_lmeval.results import MetricValue, TaskResult


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdCheck:
    """One bound, "min" or "max", on one metric, all in the metric's own unit.

    ``worst`` is the value if the ``unscored`` documents were the worst they can be, None where that has no bound.
    """

    metric: str
    bound: str
    limit: float
    value: float
    stderr: float | None
    n: int
    passed: bool
    unscored: int = 0
    worst: float | None = None

    def __str__(self) -> str:
        relation = "below its min" if self.bound == "min" else "above its max"
        problem = "within" if self.passed else relation
        # The limit is spelled as in the task file: 0.28 must not become 0.2800.
        if not self.unscored:
            return f"{self.metric} {format_value(self.value)} is {problem} {self.limit:g} (n={self.n:,})"
        scored = f"{self.metric} {format_value(self.value)} is of {self.n:,} documents"
        missing = f"{self.unscored:,} could not be scored"
        if self.worst is None:
            return f"{scored}, {missing}: whether it is {relation} {self.limit:g} cannot be said"
        return f"{scored}, {missing}; with these as wrong it is {format_value(self.worst)}, {problem} {self.limit:g}"


def check_thresholds(result: TaskResult, policy: ModelPolicy) -> tuple[ThresholdCheck, ...]:
    """Check every bound of the policy, in its order. Raises GateSyntaxError for a metric the task lacks."""
    checks: list[ThresholdCheck] = []
    for key, rule in policy.rules.items():
        metric = find_metric(result, key)
        checks += [_check(result, metric, bound, limit) for bound, limit in _bounds(rule, metric)]
    return tuple(checks)


def find_metric(result: TaskResult, key: str) -> MetricValue:
    """Find the metric that a gate names; GateSyntaxError, listing what there is, where it does not exist."""
    try:
        return result.metric(key)
    except KeyError as error:
        raise GateSyntaxError(f"gate.{key}", error.args[0]) from None


def _bounds(rule: MetricRule, metric: MetricValue) -> Iterator[tuple[str, float]]:
    if rule.bare is not None:
        yield ("min" if metric.higher_is_better else "max"), rule.bare
    if rule.minimum is not None:
        yield "min", rule.minimum
    if rule.maximum is not None:
        yield "max", rule.maximum


def _check(result: TaskResult, metric: MetricValue, bound: str, limit: float) -> ThresholdCheck:
    worst = _worst(result, metric, bound)
    # Not-a-number is on neither side of a limit: both comparisons are false, and it fails.
    passed = worst is not None and (worst >= limit if bound == "min" else worst <= limit)
    return ThresholdCheck(
        metric=metric.key,
        bound=bound,
        limit=limit,
        value=metric.value,
        stderr=metric.stderr,
        n=metric.n,
        passed=passed,
        unscored=result.unscored.get(metric.key, 0),
        worst=worst,
    )


def _worst(result: TaskResult, metric: MetricValue, bound: str) -> float | None:
    """Return the value with every unscored document at the bad end of the scale from 0 to 1."""
    unscored = result.unscored.get(metric.key, 0)
    if not unscored:
        return metric.value
    if result.leaves:
        return _worst_of_leaves(result, metric, bound)
    is_mean = any(metric.key in item.scores for item in result.items)
    if not is_mean or not 0 <= metric.value <= 1:
        return None
    total = metric.value * metric.n + (0 if bound == "min" else unscored)
    return total / (metric.n + unscored)


def _worst_of_leaves(result: TaskResult, metric: MetricValue, bound: str) -> float | None:
    """Each leaf at its worst, with the share that it has in the group."""
    shares = zip(result.weights[metric.key], result.leaves, strict=True)
    worst = [(share, _worst(leaf, leaf.metric(metric.key), bound)) for share, leaf in shares if share]
    known = [share * value for share, value in worst if value is not None]
    return sum(known) if len(known) == len(worst) else None
