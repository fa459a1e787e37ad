"""What the index knows about one name, and about one folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple

from pytest_lmeval.errors import TaskFileError

Kind = Literal["task", "group", "class"]
# In the order in which they decide, where a file has several of these keys.
KINDS: tuple[Kind, ...] = ("class", "group", "task")

# A member of a group: a name, or a group that is written inside another, with its own members.
Member = Any


class Entry(NamedTuple):
    """One task, group or Python task class. A tuple, because there are tens of thousands of them."""

    name: str
    kind: Kind
    path: str
    tags: Sequence[str]
    output_type: str | None
    members: Sequence[Member]


@dataclass(frozen=True)
class FolderIndex:
    """The entries of a folder by name, and the files that cannot be read."""

    entries: Mapping[str, Entry]
    broken: Sequence[TaskFileError]

    @cached_property
    def tags(self) -> Mapping[str, Sequence[str]]:
        """The names of the tasks that carry a tag, sorted. A tag on a group means nothing, as in the reference."""
        tags: dict[str, list[str]] = {}
        for name in sorted(self.entries):
            entry = self.entries[name]
            for tag in entry.tags if entry.kind != "group" else ():
                tags.setdefault(tag, []).append(name)
        return tags

    @cached_property
    def names(self) -> Sequence[str]:
        """Every name, sorted."""
        return sorted(self.entries)


def merge(indexes: Sequence[FolderIndex]) -> FolderIndex:
    """Lay folders over one another; the first that has a name wins."""
    if len(indexes) == 1:
        return indexes[0]
    entries: dict[str, Entry] = {}
    for index in indexes:
        for name, entry in index.entries.items():
            entries.setdefault(name, entry)
    return FolderIndex(entries, [error for index in indexes for error in index.broken])
