"""The index of one folder: from the cache where nothing has changed, else made anew."""

from __future__ import annotations

import time
from pathlib import Path

import pytest_lmeval
from pytest_lmeval.tasks.index import cache, manifest
from pytest_lmeval.tasks.index.build import Built, build
from pytest_lmeval.tasks.index.entry import Entry, FolderIndex
from pytest_lmeval.tasks.sources import lm_eval_tasks

# Below this many files making the index takes less time than it is worth to keep one.
KEPT_FROM = 500
# A file so fresh may change again within the tick of the file system's clock, and its time would not tell.
_SETTLED_NS = 2_000_000_000


def read_index(folder: Path) -> FolderIndex:
    """Index the task files below ``folder``; of two files with one name the first, sorted by path, has it."""
    now = time.time_ns()
    found = manifest.take(folder)
    place = cache.cache_file(folder) if len(found.files) >= KEPT_FROM else None
    if place is None:
        return _by_name(folder, build(folder, found.paths))
    state = f"{pytest_lmeval.__version__} {found.digest()} {lm_eval_tasks()}"
    built = cache.load(place, state, frozenset(found.paths))
    if built is None:
        built = build(folder, found.paths)
        if max(file.mtime_ns for file in (*found.files, *built.outside)) < now - _SETTLED_NS:
            cache.save(place, state, built)
    return _by_name(folder, built)


def _by_name(folder: Path, built: Built) -> FolderIndex:
    entries: dict[str, Entry] = {}
    for name, kind, path, tags, output_type, members in built.entries:
        entries.setdefault(name, Entry(name, kind, f"{folder}/{path}", tags, output_type, members))
    return FolderIndex(entries, built.broken)
