"""Where recorded runs are looked for."""

from __future__ import annotations

import argparse
from pathlib import Path

from pytest_lmeval.options.runs import FOLDER


def add_runs_dir(parser: argparse.ArgumentParser) -> None:
    """Let a subcommand be told another folder than that of the project it is started in."""
    parser.add_argument("--runs-dir", type=Path, default=Path(FOLDER), metavar="DIR", help="default: %(default)s")
