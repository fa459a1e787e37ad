"""What GitHub Actions shows of a run: a job summary, annotations, and a log in which no model gives commands.

A line of a job's log can be a command to GitHub's runner, and tests print what models wrote. For the time of the run
commands are off; a random word, that no model can know, turns them on again.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import pytest

from pytest_lmeval.report.annotations import annotate
from pytest_lmeval.report.escaping import command, printable
from pytest_lmeval.report.markdown import markdown
from pytest_lmeval.report.rows import ReportRow
from pytest_lmeval.runs.run import Run

#: The most that GitHub takes of a step, in bytes; of more it shows nothing.
SUMMARY_BYTES = 1024 * 1024
# Not worth writing in less.
_FEWEST = 4096


class GitHubPlugin:
    """Registered where the run has a terminal, not in xdist's workers."""

    def __init__(self, config: pytest.Config, environment: Mapping[str, str] = os.environ) -> None:
        self._config = config
        self._environment = environment
        self._token: str | None = None
        self._run: Run | None = None
        self._problem: str | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Turn commands off."""
        token = secrets.token_hex(16)
        if self._print(command("stop-commands", token)):
            self._token = token

    # First, since one that raises keeps those after it from being called.
    @pytest.hookimpl(tryfirst=True)
    def pytest_lmeval_run_finished(self, run: Run) -> None:
        """Write the summary; annotations wait until everything else is printed."""
        self._run = run
        try:
            self._problem = append_summary(run, self._environment)
        except OSError as error:
            self._problem = f"no job summary: {error.strerror or error}"

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(self) -> Generator[None, object, object]:
        """Turn commands on when all that tests and models wrote is printed, and annotate."""
        result = yield
        if self._problem:
            self._print(printable(self._problem))
        self._resume()
        if self._run is not None:
            for line in annotate(self._run, self._place):
                self._print(line)
        return result

    def pytest_unconfigure(self) -> None:
        """Turn commands on also after a run without a summary."""
        self._resume()

    def _resume(self) -> None:
        if self._token is not None:
            self._print(f"::{self._token}::")
            self._token = None

    def _print(self, line: str) -> bool:
        reporter: Any = self._config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter.write_line(line)
        return reporter is not None

    def _place(self, row: ReportRow) -> str | None:
        """Find a row's file from the repository's root; an installed task's is not in it."""
        root = Path(self._environment.get("GITHUB_WORKSPACE") or self._config.rootpath).resolve()
        path = (self._config.rootpath / row.file).resolve()
        inside = bool(row.file) and path.is_relative_to(root) and path.is_file()
        return path.relative_to(root).as_posix() if inside else None


def append_summary(run: Run, environment: Mapping[str, str]) -> str | None:
    """Add the report to the step's summary, in what room is left; return what kept it from that. Raises OSError."""
    name = environment.get("GITHUB_STEP_SUMMARY")
    if not name:
        return None
    path = Path(name)
    used = path.stat().st_size if path.exists() else 0
    room = SUMMARY_BYTES - used - 2
    if room < _FEWEST:
        return f"no job summary: this step's is full ({used:,} bytes of {SUMMARY_BYTES:,})"
    # On a line of its own, whatever stands before it.
    text = f"\n{markdown(run, room)}\n"
    with path.open("a", encoding="utf-8", newline="\n") as file:
        file.write(text)
    return None
