"""A run against scores that somebody published: no documents, so the conservative unpaired rule."""

from __future__ import annotations

from pytest_lmeval.baselines.record import Baseline
from pytest_lmeval.gate.changes import Change
from pytest_lmeval.gate.comparison import Comparison, Context, gated_metrics, levels_of, margin_of
from pytest_lmeval.gate.decision import decide
from pytest_lmeval.gate.evidence import Evidence
from pytest_lmeval.gate.policy import ModelPolicy
from pytest_lmeval.gate.published import unit_problem
from pytest_lmeval.gate.unpaired import with_published
from pytest_lmeval.results import MetricValue, TaskResult


def compare_published(result: TaskResult, published: Baseline, policy: ModelPolicy, context: Context) -> Comparison:
    """Compare the metrics that the published scores have; a gated one that they lack, or on another scale, is refused.

    Raises UserError where the gate names a metric the task lacks.
    """
    levels = levels_of(policy.settings, context.family)
    gated = gated_metrics(result, policy)
    changed = [change for key in gated if (change := _unusable(result, key, published.metric(key)))]
    measured: dict[str, Evidence] = {}
    for metric in () if changed else result.metrics:
        then = published.metric(metric.key)
        if then is not None and _unusable(result, metric.key, then) is None:
            measured[metric.key] = with_published(metric, then.value, levels, n=then.n or None)
    return Comparison(
        baseline=published,
        changed=tuple(changed),
        n_now=result.n,
        n_then=published.n,
        paired=0,
        decisions=tuple(
            decide(
                evidence,
                policy.settings,
                family=context.family,
                margin=margin_of(policy, key, evidence),
            )
            for key, evidence in measured.items()
            if key in gated
        ),
        shown=tuple(evidence for key, evidence in measured.items() if key not in gated),
        uncompared=tuple(metric.key for metric in result.metrics if metric.key not in measured),
    )


def _unusable(result: TaskResult, key: str, then: MetricValue | None) -> Change | None:
    if then is None:
        return Change(what=f"metrics: it has no {key}")
    scores = (item.scores[key] for item in result.items if key in item.scores)
    problem = unit_problem(result.metric(key), scores, then.value)
    return None if problem is None else Change(what=f"units: {problem}")
