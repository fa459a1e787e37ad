"""Keep a folder's index in the user's cache, for as long as no file below the folder has changed.

A file of two lines: what it is an index of, with a hash over the second line; and the index. It is data from a place
that others may write to: what is not exactly as expected, or damaged, counts as absent.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_lmeval.errors import TaskFileError
from pytest_lmeval.tasks.index.build import Built
from pytest_lmeval.tasks.index.entry import KINDS, Entry
from pytest_lmeval.tasks.index.manifest import FileState, states

# To be raised whenever the same files give another index.
FORMAT = 1
VARIABLE = "PYTEST_LMEVAL_CACHE_DIR"
_MAX_BYTES = 64_000_000
_MAX_DEPTH = 200


def cache_file(folder: Path, environment: Mapping[str, str] = os.environ) -> Path | None:
    """Return where the index of ``folder`` is kept: in ``PYTEST_LMEVAL_CACHE_DIR``, or the user's cache directory."""
    name = f"task-index-{hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]}.json"
    if own := environment.get(VARIABLE):
        return Path(own) / name
    try:
        return _user_cache(environment) / "pytest-lmeval" / name
    except RuntimeError:  # there is no home directory
        return None


def _user_cache(environment: Mapping[str, str]) -> Path:
    # A relative path is to be ignored, says the XDG base directory specification.
    given = Path(environment.get("XDG_CACHE_HOME") or ".")
    if given.is_absolute():
        return given
    return Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache")


def load(path: Path, state: str, files: frozenset[str]) -> Built | None:
    """Read the index that was kept for this state of these files; None where there is none that can be trusted."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            return None
        header, _, content = path.read_bytes().partition(b"\n")
        if json.loads(header) != _header(state, content):
            return None
        return _built(json.loads(content), files)
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def save(path: Path, state: str, built: Built) -> None:
    """Keep an index. Other processes see the old file or the new one, whole; a directory that is read-only stays so."""
    content = json.dumps(_content(built), ensure_ascii=True, separators=(",", ":")).encode()
    header = json.dumps(_header(state, content)).encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.stem}-", delete=False) as file:
            file.write(header + b"\n" + content)
    except OSError:  # the index is made again next time
        return
    try:
        Path(file.name).replace(path)
    except OSError:
        Path(file.name).unlink(missing_ok=True)


def _header(state: str, content: bytes) -> dict[str, Any]:
    return {"format": FORMAT, "state": state, "sha256": hashlib.sha256(content).hexdigest()}


def _content(built: Built) -> dict[str, Any]:
    return {
        "entries": built.entries,
        "broken": [[str(error.path), error.line, error.problem] for error in built.broken],
        "outside": built.outside,
    }


def _built(content: Mapping[str, Any], files: frozenset[str]) -> Built | None:
    outside = [FileState(*row) for row in content["outside"]]
    if outside != states(state.path for state in outside):
        return None
    return Built(
        entries=[_entry(row, files) for row in content["entries"]],
        broken=[_error(*row) for row in content["broken"]],
        outside=outside,
    )


def _entry(row: Sequence[Any], files: frozenset[str]) -> Entry:
    entry = Entry(*row)
    name, kind, path, tags, output_type, members = entry
    if not (isinstance(name, str) and kind in KINDS and path in files and isinstance(output_type, str | None)):
        raise ValueError(f"no entry of an index: {row!r}")
    _check_members(tags, 0)
    _check_members(members, _MAX_DEPTH)
    return entry


def _check_members(members: Any, depth: int) -> None:
    """Check a list of names, or of pairs of a name and such a list, down to ``depth``."""
    if not isinstance(members, list):
        raise TypeError(f"no list of names: {members!r}")
    for member in members:
        if not isinstance(member, str):
            name, inner = member
            if depth <= 0 or not isinstance(name, str):
                raise ValueError(f"no member of a group: {member!r}")
            _check_members(inner, depth - 1)


def _error(path: str, line: int | None, problem: str) -> TaskFileError:
    return TaskFileError(path, line, problem)
