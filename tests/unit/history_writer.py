"""A runner of its own, as a process: appends made-up runs to a history that others write to, too."""

from __future__ import annotations

import multiprocessing
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from pytest_lmeval.history.remembering import remember

from .recorded_runs import made_run


def write_at_once(where: Path | str, runners: int, runs: int) -> list[int | None]:
    """Let ``runners`` processes begin together, each with so many runs; return their exit codes."""
    # Processes of a server that has no threads, whatever the tests before this one started; it imports once.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "scipy.stats", "alembic.command"])
    together = context.Barrier(runners)
    started = [context.Process(target=_write, args=(where, f"runner{n}", runs, together)) for n in range(runners)]
    for process in started:
        process.start()
    for process in started:
        process.join(120)
        process.kill()
        process.join()
    return [process.exitcode for process in started]


def _write(where: Path | str, name: str, runs: int, together: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        run = made_run(Path(folder) / "run", n=40, lost=8)
        together.wait(60)
        for number in range(runs):
            facts = replace(run.facts, id=f"{name}-{number}", started=run.facts.started + number)
            remember(replace(run, facts=facts), where)
