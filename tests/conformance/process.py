"""A process of its own for comparing tasks: what hangs or dies there is one row of the report."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from tests.conformance.catalogue import ReferenceTask

# A worker is replaced after so many tasks: modules and datasets of all of them stay in its memory.
_TASKS_A_WORKER = 500


class Worker:
    """A worker process; one that hangs or dies is replaced by the next task."""

    def __init__(self, data: Path | None, limit_s: float) -> None:
        self._data, self._limit_s = data, limit_s
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._done = 0

    def compare(self, task: ReferenceTask, ours: Path | None = None) -> dict[str, Any]:
        """Return the row of one task, read here from lm-eval's file or from ``ours``."""
        process = self._ready()
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps([task.name, task.file, str(ours) if ours else None]) + "\n")
            process.stdin.flush()
            line = self._lines.get(timeout=self._limit_s)
        except queue.Empty:
            return self._lost(task, f"longer than {self._limit_s:.0f} s")
        except BrokenPipeError:
            line = None
        if line is None:
            return self._lost(task, "the process died")
        self._done += 1
        row: dict[str, Any] = json.loads(line)
        return row

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            # A task's own pool of processes outlives its parent, and it is in the same group.
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _lost(self, task: ReferenceTask, reason: str) -> dict[str, Any]:
        self.close()
        return {"task": task.name, "file": task.file, "status": "not runnable", "detail": reason, "seconds": 0.0}

    def _ready(self) -> subprocess.Popen[str]:
        if self._done >= _TASKS_A_WORKER:
            self.close()
        if self._process is None:
            self._done, self._lines = 0, queue.Queue()
            environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "DISABLE_MULTIPROC": "1"}
            command = [sys.executable, "-m", "tests.conformance.worker", *([str(self._data)] if self._data else [])]
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=environment,
                start_new_session=True,
            )
            threading.Thread(target=_forward, args=(self._process, self._lines), daemon=True).start()
        return self._process


def _forward(process: subprocess.Popen[str], lines: queue.Queue[str | None]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        lines.put(line)
    lines.put(None)


def shared_data() -> Path | None:
    """The folder of real documents beside the repository, where there is one."""
    folder = Path(os.environ.get("PYTEST_LMEVAL_SHARED", Path(__file__).parents[3] / "shared")) / "data"
    return folder if folder.is_dir() else None
