"""Append a finished run to the history, and tell what the history says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_lmeval.history.database import Database
from pytest_lmeval.history.drift import shift_of
from pytest_lmeval.history.entries import Entry, append, entry_of
from pytest_lmeval.history.points import TrendPoint
from pytest_lmeval.history.series import Series, series_of_run
from pytest_lmeval.runs.run import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """``trends`` are past values as :class:`Run` has them, ``shifts`` sentences on what fell slowly."""

    trends: Mapping[tuple[str, str], tuple[TrendPoint, ...]]
    shifts: tuple[str, ...]


def remember(run: Run, where: Path | str) -> Remembered:
    """Append the run, and compare it with those before. Raises HistoryError, RunError for documents that are lost."""
    database, entry = Database(where), entry_of(run)
    with database.writing() as connection:
        append(connection, entry)
    with database.reading() as connection:
        found = [series for series in series_of_run(connection, entry) if _is_first(series, entry)]
    trends = {(series.task, series.metric): series.points[:-1] for series in found}
    gated = {
        (result["task"], result["metric"]) for result in entry.results if result["main"] or result["p"] is not None
    }
    judged = [series for series in found if (series.task, series.metric) in gated]
    shifts = [shift_of(series, among=len(judged)) for series in judged]
    return Remembered(trends=trends, shifts=tuple(shift.sentence for shift in shifts if shift is not None))


def _is_first(series: Series, entry: Entry) -> bool:
    """Whether a series is of what the run asked first under this name, where it asked differently later."""
    first = next(result for result in entry.results if result["task"] == series.task)
    return bool(series.settings == first["settings"])
