"""Where the baseline of an item comes from: a file of an earlier run, published scores, or another model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_lmeval.arms import BaselineArm
from pytest_lmeval.baselines.files import read_baseline
from pytest_lmeval.baselines.location import baseline_key, baseline_path
from pytest_lmeval.baselines.published import missing_task
from pytest_lmeval.baselines.record import Baseline
from pytest_lmeval.collection import TaskItem, policy_of, target_name
from pytest_lmeval.gate.settings import Mode
from pytest_lmeval.options import Arm, Harness, Published, Settings, Stored
from pytest_lmeval.runner import Planned
from pytest_lmeval.state import BASELINE_ARM, HARNESS, PUBLISHED, SETTINGS
from pytest_lmeval.suggestions import nearest
from pytest_lmeval.tasks.groups import Group
from pytest_lmeval.tasks.spec import TaskSpec
from pytest_lmeval.xdist import scope_of


def baseline_of(item: TaskItem, target: TaskSpec | Group | None = None) -> Baseline | None:
    """Find what the item, or a task of its group as ``target``, is compared with; None where there is nothing.

    Where that is another model, it is asked now, if it was not asked before. Raises BaselineError for a file that
    cannot be used, UserError for a mistake in the task, BackendError where the other model failed.
    """
    settings = item.config.stash[SETTINGS]
    target = item.target if target is None else target
    match settings.baseline.against:
        case Stored():
            return read_baseline(stored_path(item, target))
        case Published():
            scores = item.config.stash[PUBLISHED].get(target_name(target))
            return None if scores is None else scores.as_baseline()
        case Harness():
            # A group is compared by its tasks.
            found = item.config.stash[HARNESS]
            return None if isinstance(target, Group) else found.baseline(target, settings.evaluation)
        case Arm():
            rate = policy_of(item).settings.max_error_rate
            arm = item.config.stash[BASELINE_ARM]
            return arm.baseline(target, settings.evaluation, scope_of(item), max_error_rate=rate)


def stored_path(item: TaskItem, target: TaskSpec | Group | None = None) -> Path:
    """Place the baseline file of the item, or of a task of its group: where it is recorded, too."""
    settings = item.config.stash[SETTINGS]
    against = settings.baseline.against
    folder = against.folder if isinstance(against, Stored) else None
    name = target_name(item.target if target is None else target)
    return baseline_path(folder or settings.baseline_dir / baseline_key(str(settings.model)), name)


def has_baseline(item: TaskItem) -> bool:
    """Whether there is something to compare the item with; nothing is read, and no model is asked.

    A group is compared by the files of its tasks, not by its own.
    """
    match item.config.stash[SETTINGS].baseline.against:
        case Stored():
            return all(stored_path(item, part).exists() for part in _parts(item))
        case Published():
            return item.task_name in item.config.stash[PUBLISHED]
        case Harness():
            return all(part.task in item.config.stash[HARNESS] for part in _parts(item))
        case Arm():
            return True


def is_stored(item: TaskItem) -> bool:
    """Whether the item's baseline is a file of an earlier run, which may be recorded."""
    return isinstance(item.config.stash[SETTINGS].baseline.against, Stored)


def is_compared(item: TaskItem) -> bool:
    """Whether the item's gate compares it with a baseline at all."""
    return policy_of(item).settings.mode is not Mode.OFF


def why_missing(item: TaskItem) -> str | None:
    """Say why there is no baseline, where that is not because none was recorded."""
    match item.config.stash[SETTINGS].baseline.against:
        case Published(path):
            return missing_task(item.task_name, path, item.config.stash[PUBLISHED])
        case Harness():
            baselines = item.config.stash[HARNESS]
            lacking = [part.task for part in _parts(item) if part.task not in baselines]
            return baselines.missing(lacking[0]) if lacking else None
        case _:
            return None


def missing_folder(settings: Settings) -> str:
    """Say that there is no folder of the name that was given for the baselines; nothing where there is one, or no name.

    No mistake of its own: this is how a name begins. But a name with a typo in it compares nothing, and passes.
    """
    source = settings.baseline.against
    folder = source.folder if isinstance(source, Stored) else None
    if folder is None or folder.is_dir():
        return ""
    parent = folder.parent
    known = [path.name for path in parent.iterdir() if path.is_dir()] if parent.is_dir() else []
    return f"There is no folder {parent.name}/{folder.name}.{nearest(folder.name, known)}"


def against(settings: Settings) -> str:
    """Name what the run is compared with, for its header; nothing where these are the model's own baselines."""
    match settings.baseline.against:
        case Arm(model):
            return str(model)
        case Published(path):
            return f"{path.name} (published scores)"
        case Harness(path):
            return f"{path.name} (lm-evaluation-harness)"
        case Stored(folder):
            return "" if folder is None else f"baselines in {folder.name}"


class ArmPlugin:
    """Tells the other model, once the items are known, what it will be asked."""

    def __init__(self, arm: BaselineArm) -> None:
        self._arm = arm

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Plan the tasks of the items that will be compared, those of groups with them."""
        self._arm.plan([task for item in session.items for task in _planned(item)])


def _planned(item: pytest.Item) -> Iterator[Planned]:
    if not isinstance(item, TaskItem) or item.get_closest_marker("skip") is not None or not is_compared(item):
        return
    options, scope = item.config.stash[SETTINGS].evaluation, scope_of(item)
    for leaf in _parts(item):
        yield Planned(leaf, options, scope)


def _parts(item: TaskItem) -> tuple[TaskSpec, ...]:
    """The tasks by which an item is compared."""
    return tuple(item.target.leaves()) if isinstance(item.target, Group) else (item.target,)
