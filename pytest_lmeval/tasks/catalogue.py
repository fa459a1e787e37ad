"""Find tasks, groups and tags by name in the project's folders and in those shipped with the package."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from pytest_lmeval.errors import SettingsError, TaskFileError
from pytest_lmeval.tasks.groups import Group, GroupSpec, parse_group
from pytest_lmeval.tasks.spec import TaskSpec, parse_task
from pytest_lmeval.tasks.yaml_loader import TaskDocument, read_task_file

SUFFIXES = (".yaml", ".yml")


class Catalogue:
    """An index of task files below ``roots``; the first root that has a name wins."""

    def __init__(self, roots: Sequence[Path]) -> None:
        self._roots = roots
        self.broken: list[TaskFileError] = []

    @cached_property
    def _documents(self) -> Mapping[str, TaskDocument]:
        found: dict[str, TaskDocument] = {}
        for document in self._read_all():
            found.setdefault(name_of(document), document)
        return found

    @cached_property
    def _tags(self) -> Mapping[str, list[str]]:
        tags: dict[str, list[str]] = {}
        for name, document in sorted(self._documents.items()):
            given = document.data.get("tag")
            # What is neither is refused when the file itself is parsed.
            for tag in given if isinstance(given, list) else [given] if isinstance(given, str) else []:
                tags.setdefault(str(tag), []).append(name)
        return tags

    def find(self, pattern: str) -> list[TaskDocument]:
        """Return what a name, a tag or a pattern (``arc_*``) stands for. Raises SettingsError for nothing."""
        if pattern in self._documents:
            return [self._documents[pattern]]
        names = self._tags.get(pattern) or fnmatch.filter(sorted(self._documents), pattern)
        if not names:
            raise SettingsError(self._not_found(pattern))
        return [self._documents[name] for name in names]

    def load(self, document: TaskDocument) -> TaskSpec | Group:
        """Parse a task, or a group with everything below it. Raises TaskFileError."""
        if "group" in document.data:
            return self._group(parse_group(document), ())
        return parse_task(document)

    def group_files(self, name: str) -> Sequence[Path]:
        """The files of the groups that have this task or group below them."""
        return self._group_files.get(name, ())

    @cached_property
    def _group_files(self) -> Mapping[str, list[Path]]:
        files: dict[str, list[Path]] = {}
        for document in self._documents.values():
            for name in self._below(document):
                files.setdefault(name, []).append(document.path)
        return files

    def _below(self, document: TaskDocument) -> list[str]:
        if "group" not in document.data:
            return []
        try:
            group = self._group(parse_group(document), ())
            subgroups = [sub.spec.group for sub in group.groups() if sub is not group]
            return [*subgroups, *(leaf.task for leaf in group.leaves())]
        except TaskFileError:
            # Whoever asks for this group is told; its tasks stand on their own until then.
            return []

    def _read_all(self) -> Iterator[TaskDocument]:
        for root in self._roots:
            for path in sorted(p for s in SUFFIXES for p in root.rglob(f"*{s}")):
                try:
                    document = read_task_file(path)
                except TaskFileError as error:
                    # A broken file must not hide the others; it is reported when a name is not found.
                    self.broken.append(error)
                    continue
                if document is not None:
                    yield document

    def _group(self, spec: GroupSpec, inside: tuple[str, ...]) -> Group:
        if spec.group in inside:
            raise spec.document.error(f"group cycle: {' -> '.join((*inside, spec.group))}", "task")
        within = (*inside, spec.group)
        members = tuple(m for entry in spec.members for m in self._members(spec, entry, within))
        return Group(spec=spec, members=members)

    def _members(
        self, spec: GroupSpec, entry: str | Mapping[str, Any], inside: tuple[str, ...]
    ) -> Iterator[TaskSpec | Group]:
        if isinstance(entry, str):
            names = [entry] if entry in self._documents else self._tags.get(entry)
            if not names:
                raise spec.document.error(f"task: {self._not_found(entry)}", "task")
            for name in names:
                yield self._member(spec, self._documents[name], {}, inside)
        elif isinstance(entry, Mapping) and "group" in entry:
            yield self._group(parse_group(TaskDocument(spec.document.path, entry, spec.document.lines)), inside)
        elif isinstance(entry, Mapping) and isinstance(entry.get("task"), str):
            yield self._inline(spec, entry, inside)
        else:
            raise spec.document.error(f"task: expected a name or a mapping with 'task', found {entry!r}", "task")

    def _inline(self, spec: GroupSpec, entry: Mapping[str, Any], inside: tuple[str, ...]) -> TaskSpec | Group:
        base = self._documents.get(entry["task"])
        if base is None:
            named = {**entry, "task": f"{spec.group}::{entry['task']}"}
            base = TaskDocument(spec.document.path, {}, spec.document.lines)
            return self._member(spec, base, named, inside)
        return self._member(spec, base, {k: v for k, v in entry.items() if k != "task"}, inside)

    def _member(
        self, spec: GroupSpec, document: TaskDocument, overrides: Mapping[str, Any], inside: tuple[str, ...]
    ) -> TaskSpec | Group:
        if "group" in document.data:
            return self._group(parse_group(document), inside)
        data = {**document.data, **spec.overrides, **overrides}
        written = {key: line for key, line in spec.document.lines.items() if key in spec.overrides}
        return parse_task(TaskDocument(document.path, data, {**document.lines, **written}))

    def _not_found(self, name: str) -> str:
        known = sorted({*self._documents, *self._tags})
        near = difflib.get_close_matches(name, known, n=3)
        hint = f" Did you mean {', '.join(near)}?" if near else f" There are {len(known)}: {', '.join(known[:12])} …"
        broken = f" ({len(self.broken)} task files cannot be read: {self.broken[0]})" if self.broken else ""
        return f"no task, group or tag is called {name!r}.{hint}{broken}"


def name_of(document: TaskDocument) -> str:
    """The name a task file goes by."""
    return str(document.data.get("group") or document.data.get("task") or document.data.get("class"))
