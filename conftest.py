"""Runs in this repository: without lm-eval, the task files that include its files are left out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pytest_lmeval.errors import TaskFileError
from pytest_lmeval.tasks.catalogue import Catalogue
from pytest_lmeval.tasks.sources import LM_EVAL_REQUIREMENT, lm_eval_tasks
from pytest_lmeval.tasks.yaml_loader import read_task_file

_TASKS = Path(__file__).parent / "tasks"


def _unusable() -> Iterator[str]:
    """The files that cannot be loaded, and the groups over them. Named with ``--lm-tasks`` they still say why."""
    catalogue = Catalogue([_TASKS])
    for path in sorted(_TASKS.rglob("*.yaml")):
        try:
            document = read_task_file(path)
            if document is not None:
                catalogue.load(document)
        except TaskFileError:
            yield str(path)


# Collecting them would be an error, and end a run that asks for none of them.
collect_ignore = list(_unusable()) if lm_eval_tasks() is None else []


def pytest_report_header() -> str | None:
    """Say what is left out."""
    if not collect_ignore:
        return None
    return f"without lm-eval {len(collect_ignore)} task files are left out: pip install {LM_EVAL_REQUIREMENT}"
