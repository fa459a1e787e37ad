"""The kinds of report files. What writes one is imported where it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from pytest_lmeval.runs.run import Run

Writer = Callable[[Path, Run], Any]

#: Kind, and the function that writes it, as ``module:function``.
WRITERS = {
    "json": "pytest_lmeval.report.json_report:write_json",
    "html": "pytest_lmeval.report.html.write:write_html",
    "md": "pytest_lmeval.report.markdown:write_markdown",
}


def write_report(kind: str, path: Path, run: Run) -> None:
    """Write a report. Raises OSError where the file cannot be written, UserError where something is not installed."""
    module, _, function = WRITERS[kind].partition(":")
    writer: Writer = getattr(import_module(module), function)
    writer(path, run)
