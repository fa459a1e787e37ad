"""Absolute thresholds: a metric's value against the bounds of the task's gate.

By default the value itself is compared: who writes ``min: 0.3`` expects 0.2999 to fail. With ``floor: confident`` a
task fails only where the value is below its bound for certain, and passes with a remark where it may be. Documents that
could not be scored count against the model here: what makes itself unscorable must not pass by it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pytest_lmeval.gate.numbers import format_value
from pytest_lmeval.gate.policy import GateSyntaxError, MetricRule, ModelPolicy
from pytest_lmeval.gate.settings import FloorMode
from pytest_lmeval.gate.statistics.intervals import wilson
from pytest_lmeval.results import MetricValue, TaskResult

_SURE = 0.95
#: The normal quantile of it.
_Z = 1.6448536269514722


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdCheck:
    """One bound, "min" or "max", on one metric, all in the metric's own unit.

    ``worst`` is the value if the ``unscored`` documents were the worst they can be, None where that has no bound.
    ``confident`` is the end of the value's one-sided 95 % interval that is nearer to the limit, where the bound is held
    against that.
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
    confident: float | None = None

    @property
    def unsure(self) -> bool:
        """Whether the value is beyond the bound, and only its uncertainty lets it pass."""
        return self.passed and self.confident is not None and not _within(self.value, self.bound, self.limit)

    def __str__(self) -> str:
        relation = "below its min" if self.bound == "min" else "above its max"
        problem = "within" if self.passed else relation
        if self.unsure:
            return (
                f"{self.metric} {format_value(self.value)} is {relation} {self.limit:g}, but may be "
                f"{format_value(self.confident or 0.0)} by chance (n={self.n:,}): no certain failure"
            )
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
        confident = policy.settings.floor is FloorMode.CONFIDENT
        checks += [_check(result, metric, bound, limit, confident=confident) for bound, limit in _bounds(rule, metric)]
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


def _check(result: TaskResult, metric: MetricValue, bound: str, limit: float, *, confident: bool) -> ThresholdCheck:
    worst = compared = _worst(result, metric, bound)
    if confident and worst is not None:
        compared = _confident(result, metric, worst, bound)
    # Not-a-number is on neither side of a limit: both comparisons are false, and it fails.
    passed = compared is not None and _within(compared, bound, limit)
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
        confident=compared if confident else None,
    )


def _within(value: float, bound: str, limit: float) -> bool:
    return value >= limit if bound == "min" else value <= limit


def _confident(result: TaskResult, metric: MetricValue, value: float, bound: str) -> float:
    """The end of the one-sided 95 % interval towards the limit: Wilson's for shares, else by the standard error."""
    sign = 1.0 if bound == "min" else -1.0
    n = metric.n + result.unscored.get(metric.key, 0)
    if 0 <= value <= 1 and all(item.scores.get(metric.key, 0.0) in (0.0, 1.0) for item in result.items) and n:
        low, high = wilson(value * n, n, 2 * _SURE - 1)
        return high if bound == "min" else low
    return value + sign * _Z * (metric.stderr or 0.0)


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
