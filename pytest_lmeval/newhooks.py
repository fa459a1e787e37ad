"""The hooks of this plugin: a conftest.py or a plugin that implements one is called with what a run found.

Implementations take the arguments they need, in any order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_lmeval.report.rows import ReportRow
    from pytest_lmeval.runs.run import Run


@pytest.hookspec
def pytest_lmeval_task_finished(config: pytest.Config, row: ReportRow) -> None:
    """Called when a task was evaluated and judged, with its row of the report.

    Under pytest-xdist that is in the controller, as for every other report.
    """


@pytest.hookspec
def pytest_lmeval_run_finished(config: pytest.Config, run: Run) -> None:
    """Called once at the end of a run that evaluated anything, when its folder and reports are written.

    ``run.records()`` reads its documents, one task at a time. An implementation that raises is named in the terminal
    summary and changes nothing about the run's outcome.
    """
