"""At the end of a run: which baselines of this model belong to no task any more."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_lmeval.baselines.location import baseline_key
from pytest_lmeval.baselines.unused import unused_baselines
from pytest_lmeval.baselines.update import Update
from pytest_lmeval.collection import TaskItem
from pytest_lmeval.options import Stored
from pytest_lmeval.state import CATALOGUE, SETTINGS
from pytest_lmeval.tasks.catalogue import Catalogue
from pytest_lmeval.tasks.sources import BUILTIN, LM_EVAL

#: Paths that are listed; the others are counted.
MOST = 10
_OUTPUT = "lmeval_tasks"


class UnusedBaselinesPlugin:
    """Lists with ``-v``, and after ``--lm-update-baseline=all``.

    A baseline is unused where its task is unknown to the whole catalogue, not where it was not selected: by what a run
    collected, ``-k``, a path or another ``--lm-tasks`` would make unused what is not. The names that were collected
    count besides, for task files outside the project's folders.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._tasks: set[str] = set()
        self._told_by_all = True

    @pytest.hookimpl(wrapper=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> Generator[None]:
        """Note the tasks before anything is deselected, and those that were added."""
        self._note(items)
        yield
        self._note(items)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Tell the controller of xdist, which collects nothing itself."""
        if _is_worker(self._config):
            self._config.workeroutput[_OUTPUT] = sorted(self._tasks)  # type: ignore[attr-defined]

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take over what a worker of xdist's collected; one that crashed tells nothing."""
        tasks = getattr(node, "workeroutput", {}).get(_OUTPUT)
        self._told_by_all = self._told_by_all and tasks is not None
        self._tasks.update(tasks or ())

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Write the list, where one is wanted and nothing is in doubt."""
        if not _is_worker(self._config) and self._is_wanted():
            for line in self._lines():
                terminalreporter.write_line(line, yellow=True)

    def _note(self, items: list[pytest.Item]) -> None:
        self._tasks.update(item.task_name for item in items if isinstance(item, TaskItem))

    def _is_wanted(self) -> bool:
        updating = self._config.stash[SETTINGS].baseline.update is Update.ALL
        return updating or self._config.get_verbosity() > 0

    def _lines(self) -> Iterator[str]:
        folder, catalogue = self._folder(), self._config.stash[CATALOGUE]
        if folder is None or not folder.is_dir() or not self._told_by_all or _has_broken_files(catalogue):
            return
        unused = unused_baselines(folder, self._tasks, lambda task: _is_known(catalogue, task))
        if unused:
            are = "1 baseline belongs" if len(unused) == 1 else f"{len(unused):,} baselines belong"
            yield f"{are} to no task that can be found. Where the task is gone for good, delete its file:"
            yield from (f"  {self._shown(path)}" for path in unused[:MOST])
            if len(unused) > MOST:
                yield f"  and {len(unused) - MOST:,} more"

    def _folder(self) -> Path | None:
        """The folder of this run's baselines; None where it compares with something else."""
        settings = self._config.stash[SETTINGS]
        if not isinstance(settings.baseline.against, Stored):
            return None
        return settings.baseline.against.folder or settings.baseline_dir / baseline_key(str(settings.model))

    def _shown(self, path: Path) -> str:
        root = self._config.rootpath
        text = str(path.relative_to(root) if path.is_relative_to(root) else path)
        return text if text.isprintable() else repr(text)


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def _has_broken_files(catalogue: Catalogue) -> bool:
    """Whether a file of the project's cannot be read: its task exists, and has no name."""
    own = (source for source in catalogue.names.sources if source.name not in (BUILTIN, LM_EVAL))
    return any(source.index.broken for source in own)


def _is_known(catalogue: Catalogue, task: str) -> bool:
    """Whether there is such a task or group. One that is written inside a group exists as long as the group does."""
    return bool(catalogue.names.named(task.partition("::")[0]))
