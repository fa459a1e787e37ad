"""Read task files: YAML with ``!function`` and ``include``, each key with the line it stands on.

Nothing is executed here: ``!function a.b`` becomes a :class:`FunctionReference`, resolved when the task runs.
An include is a file next to the includer, or, as ``lm_eval:arc/arc_easy.yaml``, one of the installed lm-eval.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from pytest_lmeval.errors import TaskFileError
from pytest_lmeval.tasks.lines import line_of, line_of_text
from pytest_lmeval.tasks.sources import LM_EVAL_REQUIREMENT, lm_eval_tasks

# libyaml parses about eight times faster than the pure-Python loader; both are safe loaders.
_SafeLoader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

MAX_BYTES = 4_000_000
MAX_DEPTH = 200
MAX_INCLUDE_DEPTH = 100

LM_EVAL_PREFIX = "lm_eval:"


@dataclass(frozen=True, slots=True)
class FunctionReference:
    """``!function module.name`` as written in ``path``: found next to that file, not next to an includer."""

    path: Path
    line: int
    qualified_name: str

    def __str__(self) -> str:
        return f"!function {self.qualified_name}"


@dataclass(frozen=True, slots=True)
class TaskDocument:
    """The merged content of a task file and its includes; ``lines`` says where each top-level key stands."""

    path: Path
    data: Mapping[str, Any]
    lines: Mapping[str, tuple[Path, int]] = field(default_factory=dict)

    def error(
        self, problem: str, key: str | None = None, *inside: str | int, text_line: int | None = None
    ) -> TaskFileError:
        """Make the error that points at ``key`` (or the file), at what is ``inside`` it, or at a line of its text."""
        if key is None or key not in self.lines:
            return TaskFileError(self.path, None, problem)
        path, line = self.lines[key]
        found = line_of(path, (key, *inside)) if inside else None
        if text_line is not None:
            found = line_of_text(path, (key, *inside), text_line)
        return TaskFileError(path, found or line, problem)

    @contextmanager
    def reading(self, key: str, *inside: str | int) -> Iterator[None]:
        """Let errors that point at ``key`` point at the entry ``inside`` it that is being read."""
        try:
            yield
        except TaskFileError as error:
            if (error.path, error.line) != self.lines.get(key):
                raise
            raise self.error(error.problem, key, *inside) from error.__cause__


def read_task_file(path: Path) -> TaskDocument | None:
    """Read ``path`` and its includes; None where it is not a mapping that names a task, group or class.

    Raises TaskFileError for text that is not YAML, unreadable files, and includes that are missing or circular.
    """
    try:
        document = _read(path, (), {})
    except _NotAMappingError as error:
        if error.path == path:
            return None
        raise
    kinds = ("task", "group", "class")
    return document if any(kind in document.data for kind in kinds) else None


class _NotAMappingError(TaskFileError):
    """YAML of another kind: no task file, and an error only where a task file includes it."""


def _read(path: Path, including: tuple[Path, ...], known: dict[Path, TaskDocument]) -> TaskDocument:
    if path in including:
        chain = " -> ".join(p.name for p in (*including, path))
        raise TaskFileError(including[-1], None, f"include cycle: {chain}")
    if len(including) > MAX_INCLUDE_DEPTH:
        raise TaskFileError(including[0], None, f"includes more than {MAX_INCLUDE_DEPTH} files in a row")
    # What two files include is read once: a lattice of includes would take exponentially long.
    if path not in known:
        known[path] = _merged(path, (*including, path), known)
    return known[path]


def _merged(path: Path, including: tuple[Path, ...], known: dict[Path, TaskDocument]) -> TaskDocument:
    data, lines = _parse_template(path) if len(including) > 1 else parse_file(path)
    parents = data.pop("include", None)
    place = lines.pop("include", (path, None))[1]
    merged: dict[str, Any] = {}
    merged_lines: dict[str, tuple[Path, int]] = {}
    for name in include_names(parents):
        parent = _read(included_file(path, name, place), including, known)
        merged.update({k: v for k, v in parent.data.items() if k != "task_list"})
        merged_lines.update(parent.lines)
    # The merge is shallow: a local key replaces an included one whole, also where both are mappings.
    return TaskDocument(path, {**merged, **data}, {**merged_lines, **lines})


def include_names(value: object) -> list[object]:
    """Return the names in ``include``: one, or a list of them. Whether each is a name is for the reader to check."""
    return value if isinstance(value, list) else [] if value is None else [value]


def _parse_template(path: Path) -> tuple[dict[str, Any], dict[str, tuple[Path, int]]]:
    """Parse a file that others include; a group's tasks often share one."""
    try:
        now = path.stat()
    except OSError as error:
        raise TaskFileError(path, None, f"cannot be read: {error.strerror}") from None
    data, lines = _parse_as_it_was(path, now.st_size, now.st_mtime_ns)
    return dict(data), dict(lines)


@lru_cache(maxsize=128)
def _parse_as_it_was(path: Path, size: int, mtime_ns: int) -> tuple[dict[str, Any], dict[str, tuple[Path, int]]]:
    return parse_file(path)


def included_file(path: Path, name: object, line: int | None = None) -> Path:
    """Find what ``path`` includes as ``name``. Raises TaskFileError."""
    if not isinstance(name, str):
        raise TaskFileError(path, line, f"include: expected a file name or a list of them, found {name!r}")
    if name.startswith(LM_EVAL_PREFIX):
        return _included_from_lm_eval(path, name, line)
    found = (path.parent / name).resolve()
    if not found.is_file():
        raise TaskFileError(path, line, f"include: there is no file {name!r} next to {path.name}")
    return found


def _included_from_lm_eval(path: Path, name: str, line: int | None) -> Path:
    root = lm_eval_tasks()
    if root is None:
        install = f"pip install {LM_EVAL_REQUIREMENT}"
        raise TaskFileError(path, line, f"include: {name!r} is a file of lm-eval, which is not installed: {install}")
    found = (root / name.removeprefix(LM_EVAL_PREFIX)).resolve()
    if not found.is_relative_to(root):
        raise TaskFileError(path, line, f"include: {name!r} lies outside the task files of lm-eval")
    if not found.is_file():
        raise TaskFileError(path, line, f"include: there is no file {name!r} in {root}")
    return found


def parse_file(path: Path) -> tuple[dict[str, Any], dict[str, tuple[Path, int]]]:
    """Parse one file, its includes not followed: the keys, and where each stands. Raises TaskFileError."""
    text = _text(path)
    loader = _loader_class(path)(text)
    try:
        _check_depth(path, text)
        node = loader.get_single_node()
        data = loader.construct_document(node) if node is not None else {}
    except yaml.YAMLError as error:
        raise _syntax_error(path, error) from None
    except RecursionError:
        raise TaskFileError(path, None, "nested too deeply to be a task file") from None
    finally:
        loader.dispose()
    if not isinstance(data, dict):
        raise _NotAMappingError(path, 1, f"expected a mapping of keys to values, found a {type(data).__name__}")
    lines = {str(key.value): (path, key.start_mark.line + 1) for key, _ in node.value} if node else {}
    return {str(key): value for key, value in data.items()}, lines


def _check_depth(path: Path, text: str) -> None:
    """Refuse what would overflow the stack of libyaml, which composes recursively, and end the process."""
    # Each level takes one of these characters; so for nearly every file counting them is enough.
    if sum(text.count(opener) for opener in "[{-?:") <= MAX_DEPTH:
        return
    depth = 0
    for event in yaml.parse(text, Loader=_SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            line = event.start_mark.line + 1 if event.start_mark else None
            raise TaskFileError(path, line, "nested too deeply to be a task file")


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise TaskFileError(path, None, f"larger than {MAX_BYTES:,} bytes: not a task file")
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise TaskFileError(path, None, f"not UTF-8 text (byte {error.start})") from None
    except OSError as error:
        raise TaskFileError(path, None, f"cannot be read: {error.strerror}") from None


def _syntax_error(path: Path, error: yaml.YAMLError) -> TaskFileError:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    context = getattr(error, "context", None)
    if "maximum nesting depth" in problem:  # PyYAML's own limit, from 6.0.4 on, comes before ours
        return TaskFileError(path, mark.line + 1 if mark else None, "nested too deeply to be a task file")
    text = f"not valid YAML: {problem}" + (f" ({context})" if context else "")
    return TaskFileError(path, mark.line + 1 if mark else None, text)


def _loader_class(path: Path) -> type[Any]:
    class Loader(_SafeLoader):  # type: ignore[misc]
        pass

    def construct(loader: Any, node: yaml.Node) -> FunctionReference:
        return FunctionReference(path, node.start_mark.line + 1, str(node.value))

    Loader.add_constructor("!function", construct)
    return Loader
