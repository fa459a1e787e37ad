"""Absolute thresholds: a metric's point value against the bounds of the task's gate.

The point is compared, not a confidence bound: who writes ``min: 0.3`` expects 0.2999 to fail.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pytest_lmeval.errors import UserError
from pytest_lmeval.gate.numbers import format_value
from pytest_lmeval.gate.policy import MetricRule, ModelPolicy
from pytest_lmeval.results import MetricValue, TaskResult


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdCheck:
    """One bound, "min" or "max", on one metric, all in the metric's own unit."""

    metric: str
    bound: str
    limit: float
    value: float
    stderr: float | None
    n: int
    passed: bool

    def __str__(self) -> str:
        relation = "below its min" if self.bound == "min" else "above its max"
        problem = "within" if self.passed else relation
        # The limit is spelled as in the task file: 0.28 must not become 0.2800.
        return f"{self.metric} {format_value(self.value)} is {problem} {self.limit:g} (n={self.n:,})"


def check_thresholds(result: TaskResult, policy: ModelPolicy) -> tuple[ThresholdCheck, ...]:
    """Check every bound of the policy, in its order. Raises UserError for a metric the task lacks."""
    checks: list[ThresholdCheck] = []
    for key, rule in policy.rules.items():
        metric = find_metric(result, key)
        checks += [_check(metric, bound, limit) for bound, limit in _bounds(rule, metric)]
    return tuple(checks)


def find_metric(result: TaskResult, key: str) -> MetricValue:
    """Find the metric that a gate names; UserError, listing what there is, where it does not exist."""
    try:
        return result.metric(key)
    except KeyError as error:
        raise UserError(f"gate.{key}: {error.args[0]}") from None


def _bounds(rule: MetricRule, metric: MetricValue) -> Iterator[tuple[str, float]]:
    if rule.bare is not None:
        yield ("min" if metric.higher_is_better else "max"), rule.bare
    if rule.minimum is not None:
        yield "min", rule.minimum
    if rule.maximum is not None:
        yield "max", rule.maximum


def _check(metric: MetricValue, bound: str, limit: float) -> ThresholdCheck:
    # Not-a-number is on neither side of a limit: both comparisons are false, and it fails.
    passed = metric.value >= limit if bound == "min" else metric.value <= limit
    return ThresholdCheck(
        metric=metric.key,
        bound=bound,
        limit=limit,
        value=metric.value,
        stderr=metric.stderr,
        n=metric.n,
        passed=passed,
    )
