"""The children as the measuring process sees them: open, ask, close."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from benchmarks.engines.child import OPENED
from benchmarks.engines.order import Measured, Opening, Order, read_measured, write
from benchmarks.scoring.process import why
from pytest_lmeval.errors import BackendError

# Seconds for an engine to stop by itself.
PATIENCE = 30


class Child:
    """One engine in a process of its own, as long as the ``with`` lasts. What it prints goes to ``log``."""

    def __init__(self, opening: Opening, environment: Mapping[str, str], log: Path) -> None:
        self._opening, self._environment, self._log = opening, environment, log

    def __enter__(self) -> Self:
        with self._log.open("w", encoding="utf-8") as lines:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.engines.child"],
                env=dict(self._environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=lines,
                text=True,
                encoding="utf-8",
            )
        try:
            self._send(write(self._opening), expected=OPENED)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def ask(self, order: Order) -> Measured:
        """Let it answer. Raises BackendError where it ends instead."""
        return read_measured(self._send(write(order)))

    def _send(self, line: str, expected: str | None = None) -> str:
        try:
            _pipe(self._process.stdin).write(line)
            _pipe(self._process.stdin).flush()
        except BrokenPipeError:
            raise self._failure() from None
        reply: str = _pipe(self._process.stdout).readline()
        if not reply.endswith("\n") or expected not in (None, reply):
            raise self._failure()
        return reply

    def _failure(self) -> BackendError:
        code = self._process.wait(PATIENCE)
        return BackendError(f"{self._opening.engine}, {self._opening.model}: {why(code, self._log)}")

    def _end(self) -> None:
        """Let it close its engine, and end it where it does not."""
        try:
            self._process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _pipe(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream
