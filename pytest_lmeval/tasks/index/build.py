"""Index a folder of task files: each file scanned once, its includes merged in, YAML parsed only where it must be."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_lmeval.errors import TaskFileError
from pytest_lmeval.tasks.index.entry import KINDS, Entry, Member
from pytest_lmeval.tasks.index.manifest import FileState, states
from pytest_lmeval.tasks.index.scanner import KEYS, scan
from pytest_lmeval.tasks.yaml_loader import (
    MAX_BYTES,
    MAX_INCLUDE_DEPTH,
    include_names,
    included_file,
    parse_file,
    read_task_file,
)

SUFFIXES = (".yaml", ".yml")

Heading = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Built:
    """What was found: entries in the order of their paths (relative to the folder), and files that cannot be read.

    ``outside`` is the state of the files that were included from elsewhere, whether they exist or not.
    """

    entries: Sequence[Entry]
    broken: Sequence[TaskFileError]
    outside: Sequence[FileState]


def build(folder: Path, files: Sequence[str]) -> Built:
    """Index the task files among ``files``, which are relative to ``folder``."""
    reader = _Reader(folder)
    entries: list[Entry] = []
    broken: list[TaskFileError] = []
    for path in files:
        if path.endswith(SUFFIXES):
            try:
                entries.extend(_entries(path, reader.read(folder / path)))
            except TaskFileError as error:
                # A broken file must not hide the others; it is reported when a name is not found.
                broken.append(error)
    return Built(entries, broken, states(reader.outside))


@dataclass(slots=True)
class _Reader:
    """Reads headings: the values of the scanner's keys in a file and its includes, each file once."""

    folder: Path
    outside: set[str] = field(default_factory=set)
    _known: dict[Path, Heading | None] = field(default_factory=dict)
    _included: dict[tuple[Path, str], Path] = field(default_factory=dict)

    def read(self, path: Path) -> Heading:
        """Return what a task file says. Raises TaskFileError, with the line, where it cannot be read."""
        heading = self._heading(path)
        if heading is not None:
            return heading
        document = read_task_file(path)
        return _only_keys(document.data) if document is not None else {}

    def _heading(self, path: Path, depth: int = 0) -> Heading | None:
        """Return the merged values; None for a file that has a fault, which only the full reading can tell."""
        if path not in self._known:
            # A file that includes itself finds this.
            self._known[path] = None
            try:
                self._known[path] = self._merged(path, depth) if depth <= MAX_INCLUDE_DEPTH else None
            except TaskFileError:
                return None
        return self._known[path]

    def _merged(self, path: Path, depth: int) -> Heading | None:
        own = _own(path)
        merged: dict[str, Any] = {}
        for name in include_names(own.pop("include", None)):
            parent = self._heading(self._include(path, name), depth + 1)
            if parent is None:
                return None
            merged.update(parent)
        return {**merged, **own}

    def _include(self, path: Path, name: object) -> Path:
        key = (path.parent, str(name))
        if key not in self._included:
            place = path.parent / str(name)
            try:
                found = included_file(path, name)
            except TaskFileError:
                # It may appear there.
                self.outside.add(str(place))
                raise
            if not found.is_relative_to(self.folder.resolve()):
                self.outside.update((str(place), str(found)))
            self._included[key] = found
        return self._included[key]


def _own(path: Path) -> dict[str, Any]:
    text = _text(path)
    scanned = scan(text) if text is not None else None
    return _only_keys(parse_file(path)[0]) if scanned is None else scanned


def _text(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return file.read().decode() if os.fstat(file.fileno()).st_size <= MAX_BYTES else None
    except (OSError, UnicodeDecodeError):
        # Parsing the file tells what is wrong with it.
        return None


def _only_keys(data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: data[key] for key in KEYS if key in data}


def _entries(path: str, heading: Heading) -> Iterator[Entry]:
    kind = next((kind for kind in KINDS if kind in heading), None)
    name = heading.get("group" if kind == "group" else "task")
    if kind is None or not isinstance(name, str | int | float):
        return
    output_type = heading.get("output_type")
    yield Entry(
        name=str(name),
        kind=kind,
        path=path,
        tags=_names(heading.get("tag")),
        output_type=output_type if isinstance(output_type, str) else None,
        members=_members(str(name), heading.get("task")) if kind == "group" else [],
    )


def _names(value: object) -> list[str]:
    # What is neither is refused when the file itself is parsed.
    return [str(name) for name in _listed(value)]


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value] if isinstance(value, str) else []


def _members(group: str, value: object) -> list[Member]:
    return [_member(group, member) for member in _listed(value)]


def _member(group: str, member: object) -> Member:
    """Reduce a member to its name, or to a pair of name and members; what is neither fails when the group is loaded."""
    if not isinstance(member, Mapping):
        return str(member)
    if "group" in member and "task" in member:
        name = f"{group}::{member['group']}"
        return [name, _members(name, member["task"])]
    return str(member.get("group", member.get("task")))
