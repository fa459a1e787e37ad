"""Which drop each task's gate is to see, and the samples that show it: ``--lm-detect``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property

import pytest

from pytest_lmeval.baseline_sources import stored_path
from pytest_lmeval.baselines.files import read_baseline
from pytest_lmeval.baselines.record import Baseline
from pytest_lmeval.collection import TaskItem, gate_of, target_name
from pytest_lmeval.errors import BaselineError, UserError
from pytest_lmeval.family import Family, family_of
from pytest_lmeval.gate.detection import Detection
from pytest_lmeval.gate.policy import ModelPolicy
from pytest_lmeval.gate.prospect import Prospect, prospect
from pytest_lmeval.gate.sight import Need
from pytest_lmeval.options import Settings, Stored
from pytest_lmeval.state import DETECTION, PUBLISHED, SETTINGS
from pytest_lmeval.tasks.estimating import count_documents
from pytest_lmeval.tasks.groups import Group
from pytest_lmeval.tasks.metrics.expected import expected_main, is_mean_of_documents
from pytest_lmeval.tasks.sampling import Sample, Samples
from pytest_lmeval.tasks.spec import TaskSpec


class DetectionPlugin:
    """Chooses the documents of a run with ``--lm-detect``, before the runner is told what will be asked."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Draw the samples; every process of a run draws the same."""
        config = session.config
        settings = config.stash[SETTINGS]
        samples, config.stash[DETECTION] = detect(Gates(session.items, config))
        evaluation = replace(settings.evaluation, samples=samples)
        config.stash[SETTINGS] = replace(settings, evaluation=evaluation)


class Gates:
    """The tasks and groups of a run and what is known of their comparisons."""

    def __init__(self, items: Sequence[pytest.Item], config: pytest.Config) -> None:
        asked = [item for item in items if isinstance(item, TaskItem) and item.get_closest_marker("skip") is None]
        self.settings: Settings = config.stash[SETTINGS]
        self._published = config.stash.get(PUBLISHED, None)
        self._items = asked
        self._baselines: dict[str, Baseline | None] = {}
        self._prospects: dict[str, Prospect] = {}
        self._sizes: dict[str, int] = {}

    @cached_property
    def family(self) -> Family:
        """The tests that share the run's error rate; where no task has a baseline yet, those that will."""
        recorded = {item.task_name for item in self._items if self.baseline(item.target) is not None}
        return family_of(self._items, lambda item: not recorded or item.task_name in recorded)

    @property
    def decisive(self) -> list[TaskSpec | Group]:
        """The targets that are judged by themselves, and not only as parts of a group."""
        return [item.target for item in self._items if self.decides(item.target)]

    def decides(self, target: TaskSpec | Group) -> bool:
        """Whether the target is judged by itself."""
        return target_name(target) not in self.family.leaf_of

    def policy(self, target: TaskSpec | Group) -> ModelPolicy:
        """The target's gate under the run's settings."""
        return gate_of(target).for_model(str(self.settings.model)).under(self.settings.gate.layers)

    def prospect(self, target: TaskSpec | Group) -> Prospect:
        """What is known of the target's comparison; a baseline that cannot be read is none."""
        name = target_name(target)
        if name not in self._prospects:
            main = target.spec.aggregates[0].metric if isinstance(target, Group) else expected_main(target)
            self._prospects[name] = prospect(
                self.policy(target),
                self.baseline(target),
                family=self.family.size,
                main=main,
                paired=self._published is None,
            )
        return self._prospects[name]

    def size(self, leaf: TaskSpec) -> int:
        """How many documents the leaf of a group has; 0 where that cannot be found out, as its own item will tell."""
        if leaf.task not in self._sizes:
            baseline = self.baseline(leaf)
            self._sizes[leaf.task] = baseline.total if baseline is not None else self._counted(leaf)
        return self._sizes[leaf.task]

    def _counted(self, leaf: TaskSpec) -> int:
        try:
            return count_documents(leaf, self.settings.evaluation)
        except UserError:
            return 0

    def baseline(self, target: TaskSpec | Group) -> Baseline | None:
        """Find the baseline of a task or group; one that is unusable is told by the item itself."""
        name = target_name(target)
        if name not in self._baselines:
            try:
                self._baselines[name] = _light(self.read(target))
            except BaselineError:
                self._baselines[name] = None
        return self._baselines[name]

    def read(self, target: TaskSpec | Group) -> Baseline | None:
        """Find the baseline of a task or group; of another model there is none yet. Raises BaselineError."""
        if self._published is not None:
            scores = self._published.get(target_name(target))
            return None if scores is None else scores.as_baseline()
        if not isinstance(self.settings.baseline.against, Stored):
            return None
        return read_baseline(stored_path(self._items[0], target))


def _light(baseline: Baseline | None) -> Baseline | None:
    """Drop the documents of a whole split: which they are needs no list, and a suite has many."""
    return replace(baseline, items=()) if baseline is not None and baseline.n == baseline.total else baseline


def detect(gates: Gates) -> tuple[Samples, Detection]:
    """Size and draw the sample of each task for the drop that the run is to detect."""
    drop = gates.settings.gate.detect
    assert drop is not None
    needs: dict[str, Need] = {}
    counts: dict[str, int] = {}
    whole: set[str] = set()
    for target in gates.decisive:
        if is_mean_of_documents(target):
            need = needs[target_name(target)] = gates.prospect(target).need(drop.number / 100)
            for task, count in _shares(target, need.documents, gates):
                counts[task] = max(count, counts.get(task, 0))
        else:
            whole |= {target_name(target), *(leaf.task for leaf in _leaves(target))}
    leaves = {leaf.task: leaf for target in gates.decisive for leaf in _leaves(target)}
    drawn = {
        task: _sample(leaves[task], count, f"detect {drop}", gates)
        for task, count in counts.items()
        if task not in whole
    }
    bounded = frozenset(task for task, sample in drawn.items() if sample.among is not None)
    return Samples.drawn(drawn), Detection(needs=needs, bounded=bounded, whole=frozenset(whole))


def _shares(target: TaskSpec | Group, documents: int, gates: Gates) -> Iterator[tuple[str, int]]:
    """Divide a target's documents among its tasks, so that its own metric is as certain as with one task.

    Where the metric weighs tasks by their size that is in proportion to it, else the same for each.
    """
    if not isinstance(target, Group):
        yield target.task, documents
        return
    leaves = list(target.leaves())
    weighted = target.spec.aggregates[0].weight_by_size
    sizes = [gates.size(leaf) if weighted else 1 for leaf in leaves]
    for leaf, size in zip(leaves, sizes, strict=True):
        yield leaf.task, max(1, -(-documents * size // max(1, sum(sizes))))


def _sample(spec: TaskSpec, count: int, text: str, gates: Gates) -> Sample:
    """Draw from the baseline's documents where it has not all: what it lacks can be compared with nothing."""
    baseline = gates.baseline(spec)
    partial = baseline is not None and baseline.n < baseline.total and not gates.settings.baseline.update
    return Sample(
        text=text,
        count=count,
        column=next(iter(gates.policy(spec).slices), None),
        among=tuple(item.index for item in baseline.items) if baseline is not None and partial else None,
    )


def _leaves(target: TaskSpec | Group) -> list[TaskSpec]:
    return list(target.leaves()) if isinstance(target, Group) else [target]
