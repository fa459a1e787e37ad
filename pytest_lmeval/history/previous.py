"""The run before a run: the latest earlier one of the same model and tasks on the same branch."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import select

from pytest_lmeval.alerts.outcome import Outcome
from pytest_lmeval.history.database import Database
from pytest_lmeval.history.entries import tasks_of
from pytest_lmeval.history.schema import RESULTS, RUNS
from pytest_lmeval.history.text import storable
from pytest_lmeval.runs.run import Run


def previous_outcome(run: Run, where: Path | str) -> Outcome | None:
    """Read what became of it, None where there is none. Raises HistoryError."""
    facts = run.facts
    branch = storable(facts.origin.branch)
    query = (
        select(RUNS)
        .where(RUNS.c.model == storable(facts.model), RUNS.c.tasks == tasks_of(run.rows))
        .where(RUNS.c.branch.is_(None) if branch is None else RUNS.c.branch == branch)
        .where(RUNS.c.started <= facts.started, RUNS.c.run != facts.id)
        .order_by(RUNS.c.started.desc(), RUNS.c.id.desc())
        .limit(1)
    )
    with Database(where).reading() as connection:
        found = connection.execute(query).first()
        if found is None:
            return None
        failing = select(RESULTS.c.task).where(RESULTS.c.run_id == found.id, RESULTS.c.passed.is_(False))
        return Outcome(run=found.run, failing=frozenset(connection.scalars(failing)), failed=found.failed)
