"""``import PATH`` and ``export RUN DIR``: to and from the files of lm-evaluation-harness."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from pytest_lmeval.cli.places import add_runs_dir
from pytest_lmeval.runs.folder import find_run


def add_parser(subparsers: Any) -> None:
    """Add both subcommands."""
    reading = subparsers.add_parser("import", help="make a recorded run of what lm-evaluation-harness wrote")
    reading.add_argument("path", type=Path, metavar="PATH", help="its --output_path, or a results_<date>.json in it")
    add_runs_dir(reading)
    reading.set_defaults(run=_import)
    writing = subparsers.add_parser("export", help="write a recorded run as lm-evaluation-harness writes its own")
    writing.add_argument("name", metavar="RUN", help="an id, its beginning, last, or a folder")
    writing.add_argument("folder", type=Path, metavar="DIR", help="where <model>/results_<date>.json is written")
    add_runs_dir(writing)
    writing.set_defaults(run=_export)


def _import(given: argparse.Namespace) -> int:
    from pytest_lmeval.exchange.importing import import_run

    run = import_run(given.path, given.runs_dir)
    documents = sum(row.n for row in run.rows if row.samples is not None)
    tasks = sum(not row.members for row in run.rows)
    print(f"run {run.facts.id}: {tasks} task{'s' * (tasks != 1)}, {documents:,} documents of {run.facts.model}")
    if without := [row.task for row in run.rows if row.samples is None and not row.members]:
        print(f"without documents, as lm_eval ran without --log_samples: {', '.join(without)}")
    return 0


def _export(given: argparse.Namespace) -> int:
    from pytest_lmeval.exchange.exporting import export_run

    print(f"written to {export_run(find_run(given.runs_dir, given.name), given.folder)}")
    return 0
