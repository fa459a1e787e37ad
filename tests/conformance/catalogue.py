"""Every task of the installed lm-evaluation-harness by name, without its seven-second index."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import lm_eval

from pytest_lmeval.tasks.yaml_loader import TaskDocument, read_task_file

ROOT = Path(lm_eval.__file__).parent / "tasks"


@dataclass(frozen=True)
class ReferenceTask:
    """A task and its file, relative to lm-eval's folder of tasks."""

    name: str
    file: str

    @property
    def path(self) -> Path:
        """Where the file is installed."""
        return ROOT / self.file

    @property
    def family(self) -> str:
        """The folder that holds the benchmark."""
        return Path(self.file).parts[0]


def reference_tasks(cache: Path | None = None) -> dict[str, ReferenceTask]:
    """Return the tasks by name. ``cache`` is a file that keeps them from one process to the next."""
    version = metadata.version("lm_eval")
    if cache is not None and cache.is_file():
        kept = json.loads(cache.read_text(encoding="utf-8"))
        if kept["version"] == version:
            return _by_name(kept["tasks"])
    found = dict(_files())
    if cache is not None:
        cache.parent.mkdir(parents=True, exist_ok=True)
        cache.write_text(json.dumps({"version": version, "tasks": found}), encoding="utf-8")
    return _by_name(found)


def _by_name(files: Mapping[str, str]) -> dict[str, ReferenceTask]:
    return {name: ReferenceTask(name, file) for name, file in files.items()}


def _files() -> Iterator[tuple[str, str]]:
    """Of two files that name one task the first in the order of their paths is the task."""
    seen: set[str] = set()
    for path in sorted(ROOT.rglob("*.yaml"), key=Path.as_posix):
        document = read_task_file(path)
        name = None if document is None else _task_name(document)
        if name is not None and name not in seen:
            seen.add(name)
            yield name, path.relative_to(ROOT).as_posix()


def _task_name(document: TaskDocument) -> str | None:
    if "group" in document.data and "class" not in document.data:
        return None
    name = document.data.get("task")
    return name if isinstance(name, str) else None
