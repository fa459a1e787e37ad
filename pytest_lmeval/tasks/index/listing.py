"""What ``--lm-list`` shows: the names that a pattern chooses, each where it would be found, as text."""

from __future__ import annotations

import fnmatch
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from pytest_lmeval.tasks.index.entry import Entry, Kind
from pytest_lmeval.tasks.index.names import Names, SourceIndex

_ORDER: Sequence[Kind | Literal["tag"]] = ("group", "tag", "task", "class")
_NAME_WIDTH = 38


@dataclass(frozen=True, slots=True)
class Listed:
    """One name. ``size`` is the number of tasks below a group or tag; ``path`` is empty for a tag."""

    name: str
    kind: Kind | Literal["tag"]
    size: int
    source: str
    output_type: str | None
    path: str

    @property
    def what(self) -> str:
        """The kind in one word without spaces, for a task its output type if its file names one."""
        if self.kind in ("group", "tag"):
            return f"{self.kind}({self.size})"
        return "python" if self.kind == "class" else self.output_type or "task"


def listed(names: Names, pattern: str = "") -> list[Listed]:
    """Return the names that contain or match ``pattern``, and what it stands for if it is itself a name.

    Ordered by source, kind and name. Of a name that several sources have, the one that ``--lm-tasks`` would take.
    """
    found: dict[str, Listed] = {}
    for source in names.sources:
        for name in (*source.index.entries, *source.index.tags):
            if name not in found:
                found[name] = _listed(names, source, name)
    chosen = {name for name in found if _matches(name, pattern)} | _below(names, pattern)
    sources = [source.name for source in names.sources]
    rows = [row for name, row in found.items() if name in chosen]
    return sorted(rows, key=lambda row: (sources.index(row.source), _ORDER.index(row.kind), row.name))


def _listed(names: Names, source: SourceIndex, name: str) -> Listed:
    entry = source.index.entries.get(name)
    if entry is None:
        return Listed(name, "tag", len(source.index.tags[name]), source.name, None, "")
    size = len(names.below(entry).tasks) if entry.kind == "group" else 0
    return Listed(name, entry.kind, size, source.name, entry.output_type, entry.path)


def _matches(name: str, pattern: str) -> bool:
    if any(sign in pattern for sign in "*?["):
        return fnmatch.fnmatchcase(name.lower(), pattern.lower())
    return pattern.lower() in name.lower()


def _below(names: Names, word: str) -> set[str]:
    entries: Iterable[Entry] = names.named(word)
    below = [names.below(entry) for entry in entries if entry.kind == "group"]
    return {entry.name for entry in entries}.union(*(b.tasks | b.groups for b in below))


def table(rows: Sequence[Listed], width: int | None) -> Iterator[str]:
    """Lay rows out: for a terminal of ``width`` columns by source, else one complete line for each name."""
    if width is None:
        names, whats, sources = (
            max(map(len, c)) for c in zip(*((r.name, r.what, r.source) for r in rows), strict=True)
        )
        for row in rows:
            yield f"{row.name:{names}}  {row.what:{whats}}  {row.source:{sources}}  {row.path}".rstrip()
        return
    for source in dict.fromkeys(row.source for row in rows):
        of_source = [row for row in rows if row.source == source]
        yield from ("", f"{source}: {counted(of_source)}")
        yield from _lines(of_source, width)


def counted(rows: Sequence[Listed]) -> str:
    """Say how many there are of each kind: ``860 groups, 705 tags, 13,123 tasks``."""
    counts: Counter[str] = Counter("task" if row.kind == "class" else row.kind for row in rows)
    return ", ".join(f"{n:,} {kind}{'s' if n != 1 else ''}" for kind in _ORDER if (n := counts[kind]))


def _lines(rows: Sequence[Listed], width: int) -> Iterator[str]:
    names = min(max(len(row.name) for row in rows), _NAME_WIDTH)
    whats = max(len(row.what) for row in rows)
    common = _common_folder(rows)
    room = max(width - names - whats - 6, 12)
    for row in rows:
        path = _cut(row.path.removeprefix(common), room)
        if len(row.name) <= names:
            yield f"  {row.name:{names}}  {row.what:{whats}}  {path}".rstrip()
        else:
            yield f"  {row.name}"
            yield f"  {'':{names}}  {row.what:{whats}}  {path}".rstrip()


def _common_folder(rows: Sequence[Listed]) -> str:
    paths = [os.path.dirname(row.path) for row in rows if row.path]  # noqa: PTH120 - text, thousands of times
    return f"{os.path.commonpath(paths)}/" if paths else ""


def _cut(path: str, room: int) -> str:
    """Keep the end: it has the file's name."""
    return path if len(path) <= room else f"…{path[1 - room :]}"
