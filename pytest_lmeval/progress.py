"""Progress on the terminal while the model runs, past pytest's output capture."""

from __future__ import annotations

import logging
import shutil
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import pytest

from pytest_lmeval.backends.protocol import Answer, Failure
from pytest_lmeval.broker import Job
from pytest_lmeval.report.progress import ProgressLine, shorten
from pytest_lmeval.tasks.evaluation import Evaluation


class Progress:
    """Counts answers per job and shows the job that runs. Silent on xdist's workers, which have no terminal."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._silent = hasattr(config, "workerinput") or config.get_verbosity() < 0
        # Asked here, before any capture: later the file descriptors may lead elsewhere.
        self._tty = sys.stderr.isatty()
        self._line: ProgressLine | None = None
        self._tokens = 0

    def observe(self, job: Job, answer: Answer | Failure, model: str = "") -> None:
        """Count an answer; ``model`` is named where it is not the one under test."""
        if self._silent:
            return
        self._tokens += 0 if isinstance(answer, Failure) else answer.tokens
        if self._line is None:
            self._line = ProgressLine(self._write, tty=self._tty, width=self._room(), unicode=_unicode())
        self._line.update(f"{model}: {job.name}" if model else job.name, len(job.answers), _total(job), self._tokens)

    def pause(self) -> None:
        """Erase the line: the test that waited is over, and pytest writes next."""
        if self._line is not None:
            self._line.clear()
        # Rates are of the stretch that is shown, not of the whole session with its pauses.
        self._line, self._tokens = None, 0

    @contextmanager
    def loading(self, model: str) -> Iterator[None]:
        """Say that a model is being loaded, which can take minutes. With ``-v`` its engine is heard as it starts."""
        if self._config.get_verbosity() > 0:
            logging.getLogger("pytest_lmeval").setLevel(logging.INFO)
            with self._uncaptured():
                yield
            return
        show = not self._silent and self._tty
        if show:
            self._write(f"\x1b7{shorten(f'loading {model} …', self._room())}\x1b8")
        try:
            yield
        finally:
            if show:
                self._write("\x1b[K")

    def _room(self) -> int:
        """How many columns are free behind what pytest has written on the current line."""
        reporter: Any = self._config.pluginmanager.getplugin("terminalreporter")
        used = reporter._tw.width_of_current_line if reporter is not None else 0
        return max(0, shutil.get_terminal_size().columns - used) if self._tty else 100

    def _write(self, text: str) -> None:
        with self._uncaptured():
            _emit(text)

    def _uncaptured(self) -> AbstractContextManager[None]:
        capture: Any = self._config.pluginmanager.getplugin("capturemanager")
        return nullcontext() if capture is None else capture.global_and_fixture_disabled()


def _emit(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


def _total(job: Job) -> int:
    estimate = job.source.total_requests if isinstance(job.source, Evaluation) else None
    return max(job.asked, estimate or 0)


def _unicode() -> bool:
    return "utf" in (getattr(sys.__stderr__, "encoding", None) or "").lower()
