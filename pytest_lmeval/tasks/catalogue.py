"""Find tasks, groups and tags by name, in the project, among those shipped here and in an installed lm-eval.

Names come from an index that parses next to nothing; a task file is read when its task is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from pytest_lmeval.errors import SettingsError, TaskFileError
from pytest_lmeval.tasks.groups import Group, GroupSpec, parse_group
from pytest_lmeval.tasks.index.entry import KINDS, Entry, Kind
from pytest_lmeval.tasks.index.names import Names, SourceIndex
from pytest_lmeval.tasks.sources import BUILTIN, LM_EVAL, PROJECT, Source
from pytest_lmeval.tasks.spec import TaskSpec, parse_task, shown
from pytest_lmeval.tasks.yaml_loader import TaskDocument, read_task_file


@dataclass(frozen=True, slots=True)
class _Overrides:
    """Keys that a group sets for what is below it, and where it does."""

    values: Mapping[str, Any] = field(default_factory=dict)
    lines: Mapping[str, tuple[Path, int]] = field(default_factory=dict)

    def over(self, others: _Overrides) -> _Overrides:
        """Return these and, for other keys, ``others``."""
        return _Overrides({**others.values, **self.values}, {**others.lines, **self.lines})

    def applied_to(self, document: TaskDocument) -> TaskDocument:
        """Return the document with these in it; each key is replaced whole."""
        return TaskDocument(document.path, {**document.data, **self.values}, {**document.lines, **self.lines})


class Catalogue:
    """The tasks of several sources; the first that has a name wins. A path is a project's folder."""

    def __init__(self, sources: Sequence[Source | Path]) -> None:
        self.names = Names([Source(PROJECT, (s,)) if isinstance(s, Path) else s for s in sources])
        self._documents: dict[str, TaskDocument] = {}
        self._loadable: dict[str, bool] = {}

    @property
    def broken(self) -> list[TaskFileError]:
        """The task files, of all sources, that cannot be read."""
        return self.names.broken

    def find(self, pattern: str) -> list[TaskDocument]:
        """Return what a name, a tag or a pattern (``arc_*``) stands for in the first source that knows it.

        Raises SettingsError for nothing, and TaskFileError for a file that is not valid.
        """
        entries = self.names.matching(pattern)
        if not entries:
            raise SettingsError(self._not_found(pattern))
        return [self._document(entry) for entry in entries]

    def load(self, document: TaskDocument) -> TaskSpec | Group:
        """Parse a task, or a group with everything below it. Raises TaskFileError."""
        return self._load(document, _Overrides(), ())

    def is_installed(self, path: Path) -> bool:
        """Whether a task file came with a package."""
        return any(path.is_relative_to(folder) for source in self._installed for folder in source.folders)

    def installed_files(self, name: str) -> list[Path]:
        """The task files called ``name`` that came with a package: those of the first that has one."""
        for source in self._installed:
            paths = [Path(entry.path) for entry in source.index.entries.values()]
            if found := [path for path in paths if path.name == name]:
                return found
        return []

    @property
    def _installed(self) -> list[SourceIndex]:
        return [source for source in self.names.sources if source.name in (BUILTIN, LM_EVAL)]

    def group_files(self, name: str) -> list[Path]:
        """The project's files with a group that has this task or group below it. An installed lm-eval has no say."""
        return [Path(entry.path) for entry in self._groups_above.get(name, ()) if self._can_be_loaded(entry)]

    @cached_property
    def _groups_above(self) -> Mapping[str, list[Entry]]:
        names = self.names.without(LM_EVAL)
        above: dict[str, list[Entry]] = {}
        for group in (e for s in names.sources if s.name == PROJECT for e in s.index.entries.values()):
            below = names.below(group)
            for name in below.tasks | below.groups:
                above.setdefault(name, []).append(group)
        return above

    def _can_be_loaded(self, group: Entry) -> bool:
        if group.path not in self._loadable:
            try:
                self.load(self._document(group))
                self._loadable[group.path] = True
            except TaskFileError:
                # Whoever asks for this group is told; its tasks stand on their own until then.
                self._loadable[group.path] = False
        return self._loadable[group.path]

    def _document(self, entry: Entry) -> TaskDocument:
        if entry.path not in self._documents:
            path = Path(entry.path)
            document = read_task_file(path)
            if document is None or name_of(document) != entry.name:
                raise TaskFileError(path, None, f"{entry.name!r} is no longer in it: it changed while it was read")
            self._documents[entry.path] = document
        return self._documents[entry.path]

    def _load(self, document: TaskDocument, overrides: _Overrides, inside: tuple[str, ...]) -> TaskSpec | Group:
        if kind_of(document) != "group":
            return parse_task(overrides.applied_to(document))
        spec = parse_group(document)
        if spec.group in inside:
            raise document.error(f"group cycle: {' -> '.join((*inside, spec.group))}", "task")
        lines = {key: document.lines[key] for key in spec.overrides if key in document.lines}
        outer = overrides.over(_Overrides(spec.overrides, lines))
        members = (m for entry in spec.members for m in self._members(spec, entry, outer, (*inside, spec.group)))
        return Group(spec=spec, members=tuple(members))

    def _members(
        self, group: GroupSpec, entry: Any, overrides: _Overrides, inside: tuple[str, ...]
    ) -> Iterator[TaskSpec | Group]:
        if isinstance(entry, str):
            yield from self._named(group, entry, overrides, inside)
        elif isinstance(entry, Mapping) and isinstance(entry.get("group"), str) and "task" in entry:
            yield self._load(_inline(group, entry, "group"), overrides, inside)
        elif isinstance(entry, Mapping) and isinstance(entry.get("group"), str):
            yield from self._named(group, entry["group"], _set_by(group, entry).over(overrides), inside)
        elif isinstance(entry, Mapping) and isinstance(entry.get("task"), str):
            own = _set_by(group, entry).over(overrides)
            if self.names.named(entry["task"]):
                yield from self._named(group, entry["task"], own, inside)
            else:
                yield self._load(_inline(group, {"task": entry["task"]}, "task"), own, inside)
        else:
            problem = f"task: expected a name or a mapping with 'task' or 'group', found {shown(entry)}"
            raise group.document.error(problem, "task")

    def _named(
        self, group: GroupSpec, name: str, overrides: _Overrides, inside: tuple[str, ...]
    ) -> Iterator[TaskSpec | Group]:
        found = self.names.named(name)
        if not found:
            raise group.document.error(f"task: {self._not_found(name)}", "task")
        for entry in found:
            yield self._load(self._document(entry), overrides, inside)

    def _not_found(self, name: str) -> str:
        known = self.names.known
        near = self.names.near(name)
        listed = f" There are {len(known)}: {', '.join(known[:12])} … (--lm-list shows them)"
        hint = f" Did you mean {', '.join(near)}?" if near else listed
        broken = f" ({len(self.broken)} task files cannot be read: {self.broken[0]})" if self.broken else ""
        return f"no task, group or tag is called {name!r}.{hint}{broken}"


def _inline(group: GroupSpec, entry: Mapping[str, Any], kind: str) -> TaskDocument:
    """Make the document of a task or group that is written inside a group; its name says so."""
    named = {**entry, kind: f"{group.group}::{entry[kind]}"}
    return TaskDocument(group.document.path, named, group.document.lines)


def _set_by(group: GroupSpec, entry: Mapping[str, Any]) -> _Overrides:
    values = {key: value for key, value in entry.items() if key not in ("task", "group")}
    place = group.document.lines.get("task", (group.document.path, 1))
    return _Overrides(values, dict.fromkeys(values, place))


def kind_of(document: TaskDocument) -> Kind:
    """Return what a task file defines: a Python class before a group, a group before a task."""
    return next(kind for kind in KINDS if kind in document.data)


def name_of(document: TaskDocument) -> str:
    """The name a task file goes by."""
    data, kind = document.data, kind_of(document)
    return str(data["group"] if kind == "group" else data.get("task", data.get("class")))
