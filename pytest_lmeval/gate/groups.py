"""A group against the baselines of its leaves: its aggregate has no documents of its own to pair."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from pytest_lmeval.baselines.record import Baseline
from pytest_lmeval.gate.changes import Change
from pytest_lmeval.gate.comparison import Comparison, Context, compare, gated_metrics, levels_of, margin_of
from pytest_lmeval.gate.decision import decide
from pytest_lmeval.gate.evidence import Evidence
from pytest_lmeval.gate.grouped import group_evidence
from pytest_lmeval.gate.policy import ModelPolicy
from pytest_lmeval.results import TaskResult

_NAMED = 3


def compare_group(
    result: TaskResult, baselines: Mapping[str, Baseline], policy: ModelPolicy, context: Context
) -> Comparison:
    """Compare a group's aggregate by its leaves; ``baselines`` has one for each, by task name.

    It is incomparable where one of its leaves is, and the metric of the group where a leaf lacks it.
    """
    # What the group's gate says of its metrics is not said of the leaves', whose evidence is the same by any rule.
    plain = replace(policy, rules={})
    parts = {leaf.task: compare(leaf, baselines[leaf.task], plain, context) for leaf in result.leaves}
    changed = tuple(_changed(parts))
    measured = {} if changed else dict(_measured(result, parts, policy, context))
    gated = gated_metrics(result, policy)
    lacking = [Change(what=f"metrics: {key} cannot be compared in every task") for key in gated if key not in measured]
    identical = all(part.identical for part in parts.values())
    return Comparison(
        baseline=baselines[result.leaves[0].task],
        changed=changed or tuple(lacking),
        n_now=result.n,
        n_then=sum(part.n_then for part in parts.values()),
        paired=sum(part.paired for part in parts.values()),
        decisions=tuple(
            decide(
                measured[key],
                policy.settings,
                family=context.family,
                margin=margin_of(policy, key, measured[key]),
                identical=identical,
            )
            for key in gated
            if key in measured
        ),
        shown=tuple(evidence for key, evidence in measured.items() if key not in gated),
        uncompared=tuple(metric.key for metric in result.metrics if metric.key not in measured),
        gained=any(part.gained for part in parts.values()),
        identical=identical,
        notes=next((part.notes for part in parts.values() if part.notes), ()),
    )


def _changed(parts: Mapping[str, Comparison]) -> Iterator[Change]:
    """Name what changed, once each, with the leaves concerned."""
    concerned: dict[str, list[str]] = {}
    found: dict[str, Change] = {}
    for task, part in parts.items():
        for change in part.changed:
            concerned.setdefault(str(change), []).append(task)
            found[str(change)] = change
    for key, tasks in concerned.items():
        more = f" and {len(tasks) - _NAMED} more" if len(tasks) > _NAMED else ""
        yield replace(found[key], what=f"{found[key].what} of {', '.join(tasks[:_NAMED])}{more}")


def _measured(
    result: TaskResult, parts: Mapping[str, Comparison], policy: ModelPolicy, context: Context
) -> Iterator[tuple[str, Evidence]]:
    levels = levels_of(policy.settings, context.family)
    for metric in result.metrics:
        weights = result.weights.get(metric.key, ())
        weighted = [(leaf.task, weight) for leaf, weight in zip(result.leaves, weights, strict=False) if weight]
        evidence = [parts[task].of(metric.key) for task, _ in weighted]
        known = [found for found in evidence if found is not None]
        if known and len(known) == len(weighted):
            yield metric.key, group_evidence(metric.key, known, [weight for _, weight in weighted], levels)
