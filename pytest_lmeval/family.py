"""What of a run can fail it together: how many tests there are, and which tasks their group decides for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import pytest

from pytest_lmeval.collection import TaskItem, gate_of, policy_of
from pytest_lmeval.gate.policy import ModelPolicy
from pytest_lmeval.gate.settings import Consequence, Mode
from pytest_lmeval.tasks.groups import Group


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """``size`` counts the tests that can fail the run; ``leaf_of`` maps tasks to the group that decides for them."""

    size: int = 1
    leaf_of: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


def family_of(items: Sequence[pytest.Item], has_baseline: Callable[[TaskItem], bool]) -> Family:
    """Count the tests of the collected items: the same in every process of a run, whatever runs where.

    A task that is in a group with an aggregate in this run is tested with its group, unless its own file has a gate.
    A group that cannot decide, because it compares nothing or one of its tasks has no baseline, decides for none.
    """
    tasks = [item for item in items if isinstance(item, TaskItem) and item.get_closest_marker("skip") is None]
    leaf_of = dict(_leaves(tasks, has_baseline))
    tested = [item for item in tasks if item.task_name not in leaf_of and has_baseline(item)]
    sizes = [_tests(item) for item in tested]
    together = 1 if sum(size > 0 for size in sizes) > 1 else 0
    return Family(size=max(1, sum(sizes) + together), leaf_of=MappingProxyType(leaf_of))


def _leaves(tasks: Sequence[TaskItem], has_baseline: Callable[[TaskItem], bool]) -> Iterator[tuple[str, str]]:
    marked = {item.task_name for item in tasks if policy_of(item).marked}
    for item in tasks:
        if isinstance(item.target, Group) and _tests(item) and has_baseline(item):
            inner = [leaf.task for leaf in item.target.leaves()]
            inner += [group.spec.group for group in item.target.groups() if group is not item.target]
            yield from ((task, item.task_name) for task in inner if task not in marked)


def _tests(item: TaskItem) -> int:
    """One test for each gated metric, and one for the margins where they can fail the task."""
    policy = policy_of(item)
    rules = policy.settings
    if rules.mode is Mode.OFF:
        return 0
    # Drift of margins, or of answers beyond their noise.
    drifts = not isinstance(item.target, Group) and rules.on_drift is Consequence.FAIL
    return _gated(item, policy) + (1 if drifts else 0)


def _gated(item: TaskItem, policy: ModelPolicy) -> int:
    """How many metrics are gated: those that are named, and the main one.

    The main metric of a task is the first that its gate names for all models, that of a group the first it aggregates.
    """
    if isinstance(item.target, Group):
        main = [aggregate.metric for aggregate in item.target.spec.aggregates[:1]]
    else:
        main = list(gate_of(item.target).general.rules)
    has_main = any(key.partition(",")[0] in main or key in main for key in policy.rules)
    return len(policy.rules) + (0 if has_main else 1)
