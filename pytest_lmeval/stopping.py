"""What watches the tasks of an item while they are asked, by the run's settings and the item's baseline."""

from __future__ import annotations

from statistics import NormalDist

import pytest

from pytest_lmeval.baseline_sources import baseline_of, is_compared
from pytest_lmeval.baselines.record import Baseline
from pytest_lmeval.collection import TaskItem, gate_of
from pytest_lmeval.family import Family
from pytest_lmeval.gate.decision import bound_level
from pytest_lmeval.gate.monitor import Monitor, Settled, Stop, monitor_for
from pytest_lmeval.gate.settings import Rules
from pytest_lmeval.gate.statistics.binary import tango_z
from pytest_lmeval.state import FAMILY, MONITORS, SETTINGS
from pytest_lmeval.tasks.evaluation import Evaluation
from pytest_lmeval.tasks.groups import Group
from pytest_lmeval.watching import FIRST_DOCUMENTS, Watch


def watch_of(item: TaskItem) -> Watch | None:
    """Return what makes the monitors of an item's tasks; None where all documents are to be asked.

    They are kept on the item, by task.
    """
    settings = item.config.stash[SETTINGS]
    if settings.baseline.update is not None or not (settings.gate.early_stop or settings.gate.sequential):
        return None

    def watch(evaluation: Evaluation) -> Monitor:
        monitor = _monitor(item, evaluation)
        item.stash.setdefault(MONITORS, {})[evaluation.spec.task] = monitor
        return monitor

    return watch


def monitor_of(item: pytest.Item, task: str) -> Monitor | None:
    """The monitor that watched a task for the item, None where none did."""
    return item.stash.get(MONITORS, {}).get(task)


def stop_of(item: pytest.Item, task: str) -> Stop | None:
    """Why a task of the item was not asked all, or would not have been had there been more documents."""
    monitor = monitor_of(item, task)
    return None if monitor is None else monitor.stop


def _monitor(item: TaskItem, evaluation: Evaluation) -> Monitor:
    run = item.config.stash[SETTINGS]
    rules = gate_of(evaluation.spec).for_model(str(run.model)).under(run.gate.layers).settings
    # Against other questions nothing is evidence: what differs is told by the verdict, which needs all documents.
    baseline = _comparable(baseline_of(item, evaluation.spec), evaluation) if is_compared(item) else None
    margin = _points(rules, baseline)
    # A task of a group is asked to its end unless the model is broken: the group decides, and by all of it. So is one
    # that is so small that all of it is asked at once: little would be saved, and much not be known.
    may_end = evaluation.selected > FIRST_DOCUMENTS and not _in_group(item, evaluation.spec.task)
    return monitor_for(
        baseline,
        metric_key=None if baseline is None else baseline.main_metric,
        total=evaluation.selected,
        alpha=rules.alpha,
        margin_points=margin,
        family_size=item.config.stash.get(FAMILY, Family()).size,
        settled=_settled(rules, margin) if run.gate.sequential and may_end else None,
        has_stops=bool((evaluation.settings.generation or {}).get("until")),
        for_harm=run.gate.early_stop and may_end,
        for_broken=run.gate.early_stop,
    )


def _in_group(item: pytest.Item, task: str) -> bool:
    """Whether the run has a group of the task, which is judged by all of it."""
    groups = [other.target for other in item.session.items if isinstance(other, TaskItem)]
    return any(leaf.task == task for group in groups if isinstance(group, Group) for leaf in group.leaves())


def _comparable(baseline: Baseline | None, evaluation: Evaluation) -> Baseline | None:
    if baseline is None or baseline.settings.task_hash != evaluation.settings.task_hash:
        return None
    return baseline


def _points(rules: Rules, baseline: Baseline | None) -> float:
    """The larger of margin and smallest effect, in points of the main metric."""
    metric = None if baseline is None else baseline.metric(baseline.main_metric)
    value = 1.0 if metric is None else metric.value
    return 100 * max(rules.margin.of(value), rules.min_effect.of(value))


def _settled(rules: Rules, margin: float) -> Settled:
    """Whether the score test behind the bound of the verdict shows a smaller drop than the margin."""
    quantile = NormalDist().inv_cdf(1 - bound_level(rules))
    return lambda regressed, improved, n: float(tango_z(regressed, improved, n, -margin / 100)) > quantile
