"""The command line beside pytest's: its subcommands, and how their mistakes are told."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from pytest_lmeval.cli import compare, exchange, history, runs
from pytest_lmeval.errors import LMEvalError

#: As argparse and pytest have it for a wrong command.
USAGE = 2


def main(arguments: Sequence[str]) -> int:
    """Run a subcommand and return the exit status: 0, 1 where something is worse, 2 for a mistake."""
    parser = argparse.ArgumentParser(prog="python -m pytest_lmeval", description="Recorded runs of pytest-lmeval.")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in (compare, runs, history, exchange):
        command.add_parser(subparsers)
    given = parser.parse_args(arguments)
    try:
        status: int = given.run(given)
    except LMEvalError as error:
        print(f"error: {error}", file=sys.stderr)
        return USAGE
    return status
