"""Keep what a run leaves behind in a folder of its own: documents as tasks are done, the rest at the end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from pytest_lmeval.gate.verdict import Verdict
from pytest_lmeval.options import Settings
from pytest_lmeval.report.rows import ReportRow
from pytest_lmeval.results import TaskResult
from pytest_lmeval.runs.folder import hide, new_id, prune, samples_name, write_run, write_samples
from pytest_lmeval.runs.run import Run
from pytest_lmeval.runs.tasks import TaskRecord
from pytest_lmeval.state import RUN_ID, SETTINGS

_ID = "lmeval_run"


def name_run(config: pytest.Config) -> None:
    """Give the run its id: a worker of xdist's has its controller's."""
    config.stash[RUN_ID] = getattr(config, "workerinput", {}).get(_ID) or new_id()


def run_folder(config: pytest.Config) -> Path | None:
    """Where the run is kept, None where it is not."""
    settings = config.stash[SETTINGS]
    return settings.runs.folder / config.stash[RUN_ID] if settings.runs.keep else None


def keep_documents(config: pytest.Config, row: ReportRow, result: TaskResult, verdict: Verdict | None) -> ReportRow:
    """Write the documents of a result, and return its row with the name of their file, or with why there is none."""
    folder = run_folder(config)
    if folder is None or not result.items:
        return row
    kept = replace(row, samples=samples_name(row.nodeid, row.task))
    pairs = verdict.comparison.pairs if verdict is not None and verdict.comparison is not None else ()
    then = MappingProxyType({pair.now.index: pair.then for pair in pairs})
    try:
        hide(folder.parent)
        write_samples(folder, TaskRecord(row=kept, result=replace(result, leaves=()), then=then))
    except OSError as error:
        problem = f"its documents are not kept: {folder}: {error.strerror or error}"
        return replace(row, warnings=(*row.warnings, problem))
    return kept


def keep_run(folder: Path, run: Run, settings: Settings) -> None:
    """Write what is left to write, and remove what is older than the user wants. Raises OSError."""
    hide(folder.parent)
    write_run(folder, run)
    prune(folder.parent, settings.runs.keep)


class RunIdPlugin:
    """Registered only where pytest-xdist is loaded."""

    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker which run it is part of."""
        node.workerinput[_ID] = node.config.stash[RUN_ID]
