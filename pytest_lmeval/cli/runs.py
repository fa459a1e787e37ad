"""``runs``: the recorded runs that there are, the newest last."""

from __future__ import annotations

import argparse
from collections import Counter
from typing import Any

from pytest_lmeval.cli.places import add_runs_dir
from pytest_lmeval.report.progress import shorten
from pytest_lmeval.runs.folder import read_run, run_folders
from pytest_lmeval.runs.run import Run

_TASKS = 4
_WIDEST = 400


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser("runs", help="list the recorded runs")
    add_runs_dir(parser)
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Print a line per run. Raises RunError."""
    found = [read_run(folder) for folder in run_folders(given.runs_dir)]
    for each in found:
        print(_line(each))
    if not found:
        print(f"no recorded runs in {given.runs_dir}")
    return 0


def _line(run: Run) -> str:
    names = list(dict.fromkeys(row.task for row in run.rows))
    tasks = ", ".join(names[:_TASKS]) + (f" and {len(names) - _TASKS} more" if len(names) > _TASKS else "")
    verdicts = ", ".join(f"{count} {verdict}" for verdict, count in Counter(row.verdict for row in run.rows).items())
    commit = f"  {run.facts.origin.commit[:7]}" if run.facts.origin.commit else ""
    outcome = "failed" if run.facts.exit_status else "passed"
    return shorten(f"{run.facts.id}{commit}  {outcome}  {run.facts.model}  {tasks}: {verdicts}", _WIDEST)
