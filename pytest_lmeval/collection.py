"""Task files as test items: ``tasks/hellaswag.yaml::hellaswag``.

A task file is a collector, each task in it an item; a group gives an item per leaf and one per aggregate, the
aggregates last. Items are ``pytest.Function`` with a body of ours, so fixtures, markers, syrupy and selection work
as for any test.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_lmeval.check import check_task
from pytest_lmeval.errors import QualityError, SettingsError, TaskFileError, UserError
from pytest_lmeval.gate.policy import GatePolicy, ModelPolicy, parse_gate
from pytest_lmeval.marks import planned_of_mark
from pytest_lmeval.runner import Planned
from pytest_lmeval.state import CATALOGUE, FAMILY, RUNNER, SETTINGS
from pytest_lmeval.tasks.catalogue import Catalogue, name_of
from pytest_lmeval.tasks.groups import Group
from pytest_lmeval.tasks.sources import open_sources
from pytest_lmeval.tasks.spec import TaskSpec
from pytest_lmeval.tasks.yaml_loader import TaskDocument, read_task_file
from pytest_lmeval.xdist import scope_of

# Where node ids place the task files outside the project; there need not be such a folder.
_OUTSIDE = "lmeval/"


class TaskItem(pytest.Function):
    """One task or one aggregate on the model under test."""

    target: TaskSpec | Group
    from_group: bool
    lm_baseline_path: Path

    @classmethod
    def build(cls, parent: TaskFile, target: TaskSpec | Group, *, from_group: bool) -> TaskItem:
        """Make the item and mark it with ``lmeval`` and the task's tags."""
        name = item_name(target_name(target))
        item: TaskItem = cls.from_parent(parent, name=name, callobj=check_task)
        item.target, item.from_group = target, from_group
        item.add_marker(pytest.mark.lmeval)
        if any(leaf.is_multimodal for leaf in (target.leaves() if isinstance(target, Group) else [target])):
            item.add_marker(pytest.mark.skip(reason="asks about images or sound; only text can be asked"))
        for tag in getattr(target, "tag", ()):
            # Registered first: under strict markers an unknown name is an error.
            item.config.addinivalue_line("markers", f"{tag}: tag of language model tasks")
            item.add_marker(tag)
        return item

    @property
    def task_name(self) -> str:
        """The task's or the group's own name."""
        return target_name(self.target)

    @property
    def source(self) -> Path:
        """The file that defines the task; for a leaf of a group not the group's file."""
        return document_of(self.target).path

    def reportinfo(self) -> tuple[Path, int, str]:
        """Point at the line that names the task."""
        document = document_of(self.target)
        path, line = document.lines.get("task", (self.source, 1))
        return path, line - 1, self.name

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Quality below the bar is told in words; a traceback would only show this plugin."""
        if isinstance(excinfo.value, QualityError) and not self.config.getoption("fulltrace"):
            return str(excinfo.value)
        return super().repr_failure(excinfo)


class TaskFile(pytest.Module):
    """One task file. A Module, not a File: module-scoped fixtures of the user's need one."""

    obj = None

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        """Read the file; a YAML that names no task is no test."""
        try:
            document = read_task_file(self.path)
            return list(self._items(document)) if document is not None else []
        except UserError as error:
            raise self.CollectError(describe(error, self.config.rootpath)) from None

    def _items(self, document: TaskDocument) -> Iterator[TaskItem]:
        catalogue = self._catalogue()
        if self._stands_in_a_group(catalogue, document):
            return
        target = catalogue.load(document)
        if isinstance(target, Group):
            for leaf in target.leaves():
                yield TaskItem.build(self, leaf, from_group=True)
            for group in target.groups():
                if group.spec.aggregates:
                    yield TaskItem.build(self, group, from_group=True)
        else:
            yield TaskItem.build(self, target, from_group=False)

    def _stands_in_a_group(self, catalogue: Catalogue, document: TaskDocument) -> bool:
        """Whether the task is an item of a group's file that this run collects too; once is enough."""
        if self.session.isinitpath(self.path) or self.parent is self.session:
            return False
        collected = [Path(arg) for arg in self.config.args if "::" not in arg]
        roots = [self.config.invocation_params.dir / path for path in collected]
        files = catalogue.group_files(name_of(document))
        return any(path.is_relative_to(root) for path in files for root in roots)

    def _catalogue(self) -> Catalogue:
        # A file named without a model is collected too, to say why it does not run.
        catalogue = self.config.stash.get(CATALOGUE, None)
        settings = self.config.stash[SETTINGS]
        sources = open_sources(settings.task_sources, settings.task_paths)
        return catalogue or Catalogue([self.path.parent, *sources])


class CollectionPlugin:
    """Hooks over the whole collection: tasks asked for by name, duplicates, what the model will be asked."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._node_ids: list[str] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self) -> None:
        """Take the node ids of tasks of a package off the arguments: pytest would look for such a file here."""
        config = self._config
        self._node_ids = [arg for arg in config.args if _installed_files(config, arg)]
        config.args[:] = [arg for arg in config.args if arg not in self._node_ids]

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        """Add the tasks of ``--lm-tasks`` and drop second copies, before ``-k`` and ``-m`` select."""
        try:
            items.extend(self._tasks_by_id(session) if self._node_ids else self._named_tasks(session, items))
            kept = _unique(items)
        except UserError as error:
            self._refuse(session, items, describe(error, self._config.rootpath))
            return
        once = set(kept)
        if second := [item for item in items if item not in once]:
            self._config.hook.pytest_deselected(items=second)
        items[:] = kept
        for item in items:
            if not isinstance(item, TaskItem) and item.get_closest_marker("lmeval") is not None:
                # The verdict of a marked Python test is made in its setup, like that of a benchmark item.
                item.fixturenames.insert(0, "lm_verdict")  # type: ignore[attr-defined]

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Tell the runner what will be asked, in order, so that batches fill across items."""
        from pytest_lmeval.baseline_sources import has_baseline
        from pytest_lmeval.family import family_of

        self._config.stash[FAMILY] = family_of(session.items, has_baseline)
        runner = self._config.stash[RUNNER]
        runner.plan([task for item in session.items for task in self._planned(item)])

    def _refuse(self, session: pytest.Session, items: list[pytest.Item], problem: str) -> None:
        """End the run. A usage error of an xdist worker would be lost and its controller break: there, a report."""
        if not hasattr(self._config, "workerinput"):
            raise pytest.UsageError(problem)
        items.clear()
        report = pytest.CollectReport(session.nodeid, "failed", problem, [])
        self._config.hook.pytest_collectreport(report=report)

    def _named_tasks(self, session: pytest.Session, items: list[pytest.Item]) -> Iterator[pytest.Item]:
        settings, catalogue = self._config.stash[SETTINGS], self._config.stash[CATALOGUE]
        have = {item.task_name for item in items if isinstance(item, TaskItem)}
        documents = {d.path: d for pattern in settings.tasks for d in _found(catalogue, pattern)}
        for path, document in documents.items():
            if name_of(document) not in have:
                node: TaskFile = TaskFile.from_parent(session, path=path, **_node_id(session, catalogue, path))
                yield from session.genitems(node)

    def _tasks_by_id(self, session: pytest.Session) -> Iterator[pytest.Item]:
        """The tasks of a package whose node ids are on the command line; as for any test, these alone."""
        catalogue = self._config.stash[CATALOGUE]
        for node_id in self._node_ids:
            name, found = node_id.partition("::")[2], False
            for path in _installed_files(self._config, node_id):
                node: TaskFile = TaskFile.from_parent(session, path=path, **_node_id(session, catalogue, path))
                for item in session.genitems(node):
                    if name in ("", item.name):
                        found = True
                        yield item
            if not found:
                raise SettingsError(f"not found: {node_id} (no task of that name in the file)")

    def _planned(self, item: pytest.Item) -> Iterator[Planned]:
        options, scope = self._config.stash[SETTINGS].evaluation, scope_of(item)
        if item.get_closest_marker("skip") is not None:
            return
        if not isinstance(item, TaskItem):
            yield from planned_of_mark(item, scope)
        elif not isinstance(item.target, Group):
            from pytest_lmeval.stopping import watch_of  # which knows the items of this module

            yield Planned(item.target, options, scope, watch_of(item))


def _found(catalogue: Catalogue, pattern: str) -> list[TaskDocument]:
    try:
        return catalogue.find(pattern)
    except SettingsError as error:
        raise SettingsError(f"--lm-tasks={pattern}: {error}") from None


def _unique(items: list[pytest.Item]) -> list[pytest.Item]:
    """Keep one item per task: a leaf stands under the largest group that was collected, else in its own file.

    Raises SettingsError where two files define a task of the same name: they would share one baseline.
    """
    tasks = [item for item in items if isinstance(item, TaskItem)]
    sizes: dict[Any, int] = {}
    for item in tasks:
        sizes[item.parent] = sizes.get(item.parent, 0) + 1
    chosen: dict[str, TaskItem] = {}
    for item in tasks:
        other = chosen.setdefault(item.task_name, item)
        if other.source.resolve() != item.source.resolve():
            raise SettingsError(
                f"two files define the task {item.task_name!r}: {other.source} and {item.source}. Rename one of them."
            )
        if (item.from_group, sizes[item.parent]) > (other.from_group, sizes[other.parent]):
            chosen[item.task_name] = item
    return [item for item in items if not isinstance(item, TaskItem) or chosen[item.task_name] is item]


def document_of(target: TaskSpec | Group) -> TaskDocument:
    """The file that defines a task or a group."""
    return target.spec.document if isinstance(target, Group) else target.document


def policy_of(item: TaskItem) -> ModelPolicy:
    """The item's gate for the model under test, with the run's settings over it."""
    settings = item.config.stash[SETTINGS]
    return gate_of(item.target).for_model(str(settings.model)).under(settings.gate.layers)


def gate_of(target: TaskSpec | Group) -> GatePolicy:
    """Read the target's gate, which was checked when its file was read."""
    return parse_gate(target.spec.gate if isinstance(target, Group) else target.gate)


def target_name(target: TaskSpec | Group) -> str:
    """The task's or the group's own name."""
    return target.spec.group if isinstance(target, Group) else target.task


def item_name(task: str) -> str:
    """Spell a task's name as that of its item."""
    # A bracket or a double colon would make pytest read the node id differently from how it wrote it.
    return task.replace("::", ".").replace("[", "(").replace("]", ")")


def _node_id(session: pytest.Session, catalogue: Catalogue, path: Path) -> dict[str, Any]:
    """Give files outside the project a node id that is the same on every machine, also if a `.venv` is inside it."""
    if path.is_relative_to(session.config.rootpath) and not catalogue.is_installed(path):
        return {}
    text = f"{_OUTSIDE}{path.name}"
    # pytest 9.2 has a type for node ids that it does not export; older ones use text.
    kind: Any = type(getattr(session, "id", text))
    return {"name": text, "nodeid": text if kind is str else kind(path=text)}


def _installed_files(config: pytest.Config, arg: str) -> list[Path]:
    """Find the files of a node id as :func:`_node_id` gives it; none for any other argument."""
    place = arg.partition("::")[0]
    if not place.startswith(_OUTSIDE) or (config.invocation_params.dir / place).exists():
        return []
    return config.stash[CATALOGUE].installed_files(place.removeprefix(_OUTSIDE))


def describe(error: Exception, root: Path) -> str:
    """Tell an error as users read it: paths from the project's root, and where a task's own code raised."""
    if not isinstance(error, TaskFileError):
        return str(error)
    frames = traceback.extract_tb(error.__cause__.__traceback__) if error.__cause__ is not None else []
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(error.path.parent)]
    if not own:
        return error.below(root)
    path = Path(own[-1].filename)
    shown = path.relative_to(root) if path.is_relative_to(root) else path
    return f"{error.below(root)}\n  raised at {shown}:{own[-1].lineno}, in {own[-1].name}"
