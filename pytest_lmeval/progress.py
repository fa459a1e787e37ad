"""Progress on the terminal while the model runs, past pytest's output capture.

A line per task that is being asked. Workers of pytest-xdist have no terminal and no channel for anything but reports;
they write theirs as plain lines to the error stream, which they share with their controller.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import pytest

from pytest_lmeval.backends.protocol import Answer, Failure
from pytest_lmeval.broker import Job
from pytest_lmeval.report.progress import MOST_LINES, LiveArea, TaskProgress, format_progress, shorten
from pytest_lmeval.tasks.evaluation import Evaluation
from pytest_lmeval.watching import DocumentWatcher

# Lines of a log are cut here.
_LOG_WIDTH = 100
_SIZE = os.terminal_size((80, 24))


@dataclass(slots=True)
class _Stretch:
    """What happened to a job since the display began: rates are of what is shown, not of a session with its pauses."""

    name: str
    since: float
    done: float
    failed: int = 0
    tokens: int = 0


class Progress:
    """Counts answers per job and shows the jobs that are asked."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._worker: str | None = getattr(config, "workerinput", {}).get("workerid")
        has_terminal = self._worker is not None or config.pluginmanager.hasplugin("terminal")
        self._silent = not has_terminal or config.get_verbosity() < 0
        # Asked here, before any capture: later the file descriptors may lead elsewhere.
        dumb = os.environ.get("TERM", "dumb") == "dumb"
        self._tty = self._worker is None and sys.stderr.isatty() and not dumb
        self._area = LiveArea(self._write, tty=self._tty)
        self._stretches: dict[Job, _Stretch] = {}
        self._paused = time.monotonic()

    def observe(self, job: Job, answer: Answer | Failure, model: str = "") -> None:
        """Count an answer; ``model`` is named where it is not the one under test."""
        if self._silent:
            return
        stretch = self._stretches.get(job) or self._begin(job, model)
        if isinstance(answer, Failure):
            stretch.failed += 1
        else:
            stretch.tokens += answer.tokens
        if self._area.due():
            self._show()

    def pause(self) -> None:
        """Erase the lines: the test that waited is over, and pytest writes next."""
        self._area.clear()
        # A job is not to outlive its test by being remembered here.
        self._stretches.clear()
        self._paused = time.monotonic()

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
            self._area.show([shorten(f"loading {model} …", self._size().columns - 1, unicode=_unicode())])
        try:
            yield
        finally:
            if show:
                self._area.clear()

    def _begin(self, job: Job, model: str) -> _Stretch:
        name = f"{model}: {job.name}" if model else job.name
        name = f"[{self._worker}] {name}" if self._worker else name
        if not self._stretches:
            self._area.begin()
        if job.began is not None and job.began >= self._paused:
            stretch = _Stretch(name, since=job.began, done=0.0)
        else:
            # It was asked before the pause: what is known of its speed begins now.
            failed = sum(isinstance(answer, Failure) for answer in job.answers.values())
            stretch = _Stretch(name, since=time.monotonic(), done=_done(job), failed=failed)
        self._stretches[job] = stretch
        return stretch

    def _show(self) -> None:
        now = time.monotonic()
        # A job that has all its answers waits for its own test, and is no longer asked.
        self._stretches = {job: stretch for job, stretch in self._stretches.items() if not job.done}
        tasks = [_progress(job, stretch, now) for job, stretch in self._stretches.items()]
        size = self._size()
        # A terminal's last column is left free: some go to the next line as soon as it is written.
        width = size.columns - 1 if self._tty else _LOG_WIDTH
        most = max(1, min(MOST_LINES, size.lines - 2)) if self._tty else MOST_LINES
        self._area.show(format_progress(tasks, width=width, unicode=_unicode(), most=most))

    def _size(self) -> os.terminal_size:
        """How large the terminal is now: its window may have been resized."""
        try:
            with self._uncaptured():
                size = os.get_terminal_size(sys.stderr.fileno())
        except (OSError, ValueError):
            return _SIZE
        # One that does not know says 0.
        return size if size.columns > 0 and size.lines > 0 else _SIZE

    def _write(self, text: str) -> None:
        with self._uncaptured():
            _emit(text)

    def _uncaptured(self) -> AbstractContextManager[None]:
        capture: Any = self._config.pluginmanager.getplugin("capturemanager")
        return nullcontext() if capture is None else capture.global_and_fixture_disabled()


def _emit(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


def _progress(job: Job, stretch: _Stretch, now: float) -> TaskProgress:
    source, watcher = job.source, job.watcher
    counted = isinstance(source, Evaluation)
    done = _done(job)
    score = watcher.score if isinstance(watcher, DocumentWatcher) else None
    return TaskProgress(
        name=stretch.name,
        done=int(done),
        total=source.selected if isinstance(source, Evaluation) else job.asked,
        unit="docs" if counted else "requests",
        # Where nobody knows how many requests will come, nobody knows when they end.
        fresh=done - stretch.done if counted or job.asked_all else 0.0,
        tokens=stretch.tokens,
        elapsed=now - stretch.since,
        failed=stretch.failed,
        metric=score.metric if score else None,
        score=score.mean if score else None,
        interval=score.interval if score else None,
    )


def _done(job: Job) -> float:
    """Documents that are answered, each counted by the share of its requests; without documents, requests.

    Which they are would have to be counted answer by answer. All of them together are exact.
    """
    answered = len(job.answers)
    if not isinstance(job.source, Evaluation) or not job.asked:
        return answered
    return answered * len(job.source.ends) / job.asked


def _unicode() -> bool:
    return "utf" in (getattr(sys.__stderr__, "encoding", None) or "").lower()
