"""Start children, one at a time, and read what they found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.scoring.job import Job, Run, read_runs, write_job

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Children:
    """``folder`` holds a job, its output and its log at a time; ``threads`` None leaves their number to torch."""

    folder: Path
    threads: int | None = None

    def run(self, job: Job) -> list[Run]:
        """Return the runs of one child, as far as it came; the last has an error where it did not come to its end."""
        out, failure = self._start(job)
        runs = read_runs(out)
        return [*runs, Run(error=failure)] if failure else runs

    def rate(self, job: Job) -> dict[str, Any] | None:
        """Return the rate that a child measured, None where it could not."""
        out, failure = self._start(job)
        if failure:
            return None
        found: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
        return found

    def _start(self, job: Job) -> tuple[Path, str | None]:
        """Run a child to its end; return its output and, where it failed, why."""
        path, out, log = (self.folder / f"child.{suffix}" for suffix in ("json", "out", "log"))
        write_job(path, job)
        out.unlink(missing_ok=True)
        command = [sys.executable, "-m", "benchmarks.scoring.child", str(path), str(out)]
        with log.open("w", encoding="utf-8") as lines:
            code = subprocess.run(command, env=environment(self.threads), stdout=lines, stderr=lines).returncode
        return out, None if code == 0 else why(code, log)


def environment(threads: int | None) -> dict[str, str]:
    """What is set here, and what a child needs to find these modules and to compute with so many threads."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONWARNINGS": "ignore"}
    if threads is not None:
        variables |= {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    return variables


def why(code: int, log: Path) -> str:
    """What a child that ended with status ``code`` said last."""
    if code < 0:
        return f"killed by signal {-code}" + (", the memory being too small" if code == -9 else "")
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else f"it ended with status {code}"
