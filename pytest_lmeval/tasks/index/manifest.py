"""The state of a folder: every file's path, size and time of change. Two equal states mean equal contents."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple


class FileState(NamedTuple):
    """A file's path (relative to the folder, with ``/``), size in bytes and time of change in nanoseconds."""

    path: str
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """The files of a folder, sorted by path."""

    files: Sequence[FileState]

    @property
    def paths(self) -> list[str]:
        """Every path, sorted."""
        return [file.path for file in self.files]

    def digest(self) -> str:
        """Return one hash over all the files' states."""
        text = "".join(f"{file.path}\0{file.size}\0{file.mtime_ns}\n" for file in self.files)
        return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def take(folder: Path) -> Manifest:
    """Look at every file below ``folder``; hidden folders and those that may not be read are left out."""
    files: list[FileState] = []
    folders = [(str(folder), "")]
    while folders:
        place, prefix = folders.pop()
        for entry in _entries(place):
            if not entry.is_dir(follow_symlinks=False):
                files.append(FileState(prefix + entry.name, *_stat(entry)))
            elif not entry.name.startswith(".") and entry.name != "__pycache__":
                folders.append((entry.path, f"{prefix}{entry.name}/"))
    return Manifest(sorted(files))


def states(paths: Iterable[str]) -> list[FileState]:
    """Return the states of single files; size -1 where there is none."""
    return [FileState(path, *_stat(path)) for path in sorted(paths)]


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except OSError:
        return []


def _stat(file: os.DirEntry[str] | str) -> tuple[int, int]:
    try:
        status = os.stat(file) if isinstance(file, str) else file.stat()  # noqa: PTH116 - thousands of them
    except OSError:  # a link to nowhere, or no file at all
        return (-1, -1)
    return (status.st_size, status.st_mtime_ns)
