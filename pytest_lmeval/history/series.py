"""Past values of a metric of a task on a model, all of them asked the same: what a trend is made of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, or_, select

from pytest_lmeval.gate.statistics.cusum import paired_step
from pytest_lmeval.history.entries import Entry
from pytest_lmeval.history.points import TrendPoint
from pytest_lmeval.history.schema import RESULTS, RUNS
from pytest_lmeval.history.scores import unpack

#: So many runs of a model are looked back at.
LAST = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A point of a trend, and what two of them are compared by: the documents' scores, None where none are known."""

    point: TrendPoint
    documents: str | None
    scores: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """The values of one metric, the oldest first. ``settings`` is the digest that they share."""

    model: str
    task: str
    metric: str
    settings: str
    higher_is_better: bool
    values: tuple[Value, ...]

    @property
    def points(self) -> tuple[TrendPoint, ...]:
        """Without what they are compared by."""
        return tuple(value.point for value in self.values)

    def steps(self) -> tuple[float | None, ...]:
        """From each value to the next, in standard errors, negative for worse; None where documents differ.

        Two runs that were asked the same documents are compared one document after the other: by the values alone,
        whose errors are those of the choice of documents, a slide would be seen years later.
        """
        sign = 1.0 if self.higher_is_better else -1.0
        steps = [_step(then, now) for then, now in pairwise(self.values)]
        return tuple(None if step is None else sign * step for step in steps)


def _step(then: Value, now: Value) -> float | None:
    if then.scores is None or now.scores is None or then.documents != now.documents:
        return None
    try:
        return paired_step(unpack(then.scores), unpack(now.scores))
    except ValueError:
        # Written by something else: a trend is still drawn.
        return None


def series_of_run(connection: Connection, entry: Entry, *, last: int = LAST) -> list[Series]:
    """Read the trends of a run's model up to and with that run, which was appended.

    Runs of other pull requests are left out: what they tried is no part of this one's past.
    """
    run = entry.run
    ours = or_(RUNS.c.change.is_(None), RUNS.c.change == run["change"])
    wanted = and_(RUNS.c.model == run["model"], RUNS.c.started <= run["started"], ours)
    tasks = {result["task"] for result in entry.results}
    found = read_series(connection, wanted, last=last)
    return [series for series in found if series.task in tasks and series.points[-1].run == run["run"]]


def read_series(
    connection: Connection, *conditions: ColumnElement[bool], last: int = LAST, main: bool = False
) -> list[Series]:
    """Read the trends of the latest ``last`` runs that meet the conditions; ``main``: only of deciding metrics."""
    chosen = select(RUNS.c.id).where(*conditions).order_by(RUNS.c.started.desc(), RUNS.c.id.desc()).limit(last)
    query = (
        select(*_COLUMNS)
        .join_from(RESULTS, RUNS, RESULTS.c.run_id == RUNS.c.id)
        .where(RUNS.c.id.in_(chosen.scalar_subquery()), RESULTS.c.value.is_not(None))
        .order_by(RUNS.c.started, RUNS.c.id, RESULTS.c.id)
    )
    if main:
        query = query.where(RESULTS.c.main)
    return _grouped(connection.execute(query))


_COLUMNS = (
    *(RUNS.c[name] for name in ("id", "run", "started", "model", "commit", "branch")),
    *(
        RESULTS.c[name]
        for name in ("task", "metric", "settings", "higher_is_better", "value", "stderr", "n", "verdict")
    ),
    *(RESULTS.c[name] for name in ("documents", "scores")),
)


def _grouped(rows: Iterable[Row[Any]]) -> list[Series]:
    groups: dict[tuple[str, ...], dict[int, Row[Any]]] = {}
    for row in rows:
        # One run may evaluate a task several times: of what is asked the same, the first.
        groups.setdefault((row.model, row.task, row.metric, row.settings), {}).setdefault(row.id, row)
    return [
        Series(
            model=model,
            task=task,
            metric=metric,
            settings=settings,
            higher_is_better=next(iter(members.values())).higher_is_better,
            values=tuple(_value(row) for row in members.values()),
        )
        for (model, task, metric, settings), members in groups.items()
    ]


def _value(row: Row[Any]) -> Value:
    point = TrendPoint(
        run=row.run,
        started=row.started,
        value=row.value,
        stderr=row.stderr,
        n=row.n,
        verdict=row.verdict,
        commit=row.commit,
        branch=row.branch,
    )
    return Value(point=point, documents=row.documents, scores=row.scores)
