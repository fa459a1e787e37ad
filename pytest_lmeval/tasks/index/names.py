"""Look words up in the sources, in order: names, tags, patterns, and what comes near to a word.

The first source that knows a word decides what it stands for, so that this does not depend on what else is installed;
a later source is not even looked at.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from pytest_lmeval.errors import TaskFileError
from pytest_lmeval.tasks.index.entry import Entry, FolderIndex, merge
from pytest_lmeval.tasks.index.folder import read_index
from pytest_lmeval.tasks.index.near import near
from pytest_lmeval.tasks.sources import Source


@dataclass(frozen=True, slots=True)
class Below:
    """The names of the tasks and groups below a group."""

    tasks: frozenset[str]
    groups: frozenset[str]


class SourceIndex:
    """One source, indexed when it is first asked."""

    def __init__(self, source: Source) -> None:
        self.name = source.name
        self.folders = source.folders

    @cached_property
    def index(self) -> FolderIndex:
        """The entries of all its folders."""
        return merge([read_index(folder) for folder in self.folders])

    def named(self, word: str) -> Sequence[str]:
        """Return the names that a name or a tag stands for."""
        return [word] if word in self.index.entries else self.index.tags.get(word, ())

    def matching(self, pattern: str) -> Sequence[str]:
        """Return the names that a name, a tag or a pattern (``arc_*``) stands for."""
        return self.named(pattern) or fnmatch.filter(self.index.names, pattern)


class Names:
    """The names of all sources."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self.sources = [SourceIndex(source) for source in sources]

    def named(self, word: str) -> list[Entry]:
        """Return the task or group of this name, or the tasks of this tag; empty for nothing."""
        return self._first(lambda source: source.named(word))

    def matching(self, pattern: str) -> list[Entry]:
        """Return what a name, a tag or a pattern stands for; empty for nothing."""
        return self._first(lambda source: source.matching(pattern))

    @property
    def known(self) -> list[str]:
        """Every name and tag of every source, sorted. Looks at all of them."""
        return sorted({name for source in self.sources for name in (*source.index.entries, *source.index.tags)})

    @property
    def broken(self) -> list[TaskFileError]:
        """The files of every source that cannot be read."""
        return [error for source in self.sources for error in source.index.broken]

    def near(self, word: str) -> list[str]:
        """Return up to three names that a misspelt word may mean, the nearest first."""
        return near(word, self.known)

    def without(self, name: str) -> Names:
        """Return the names of the other sources."""
        others = Names(())
        others.sources = [source for source in self.sources if source.name != name]
        return others

    def below(self, group: Entry) -> Below:
        """Return what stands below a group, members of members too. A name that nothing has is a task's of its own."""
        tasks: set[str] = set()
        groups: set[str] = set()
        members = list(group.members)
        while members:
            member = members.pop()
            if not isinstance(member, str):
                groups.add(member[0])
                members.extend(member[1])
                continue
            for entry in self.named(member) or [Entry(member, "task", group.path, (), None, ())]:
                if entry.kind != "group":
                    tasks.add(entry.name)
                elif entry.name not in groups:
                    groups.add(entry.name)
                    members.extend(entry.members)
        return Below(frozenset(tasks), frozenset(groups))

    def _first(self, look: Callable[[SourceIndex], Sequence[str]]) -> list[Entry]:
        names = next((found for source in self.sources if (found := look(source))), ())
        # A later source's tag may name what an earlier one has too.
        return [next(s.index.entries[name] for s in self.sources if name in s.index.entries) for name in names]
