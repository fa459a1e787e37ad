"""``--lm-list``: print the tasks there are. No model, no collection, nothing heavy imported."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Sequence

import pytest

from pytest_lmeval.errors import SettingsError
from pytest_lmeval.options import Settings
from pytest_lmeval.tasks.index.listing import Listed, counted, listed, table
from pytest_lmeval.tasks.index.names import Names
from pytest_lmeval.tasks.sources import open_sources


def show_tasks(settings: Settings, pattern: str) -> int:
    """Print what ``--lm-list=PATTERN`` asks for. Raises SettingsError where there is none."""
    names = Names(open_sources(settings.task_sources, settings.task_paths))
    rows = listed(names, pattern)
    if not rows:
        raise SettingsError(_nothing(names, pattern))
    _print(_text(names, rows))
    return pytest.ExitCode.OK


def _text(names: Names, rows: Sequence[Listed]) -> Iterator[str]:
    if not sys.stdout.isatty():
        yield from table(rows, None)
        return
    yield from table(rows, shutil.get_terminal_size().columns)
    yield from ("", f"{counted(rows)}. Run any of them with --lm-tasks=NAME and --lm-model.")
    for error in names.broken:
        yield f"cannot be read: {error}"


def _nothing(names: Names, pattern: str) -> str:
    near = names.near(pattern)
    hint = f"Did you mean {', '.join(near)}?" if near else f"There are {len(names.known):,}; --lm-list shows them all."
    return f"--lm-list={pattern}: no task, group or tag has this in its name. {hint}"


def _print(lines: Iterator[str]) -> None:
    try:
        for line in lines:
            print(line)
        sys.stdout.flush()
    except BrokenPipeError:
        # `| head` has seen enough; nothing more may be written, also not at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
