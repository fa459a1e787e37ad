"""``history``: how scores moved over past runs, in a terminal."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pytest_lmeval.errors import SettingsError
from pytest_lmeval.options.history import FILE, HISTORY_OPTIONS, read_history_settings

_LAST = 20
_BARS, _ASCII_BARS = "▁▂▃▄▅▆▇█", "_.-=+*%#"
# Standard errors from one run to the next at which one looks: 1 in 700 runs of an unchanged model.
_LARGE = 3.0
# The columns that are aligned on the right.
_NUMBERS = (4, 5, 6)


def add_parser(commands: Any) -> None:
    """Add the subcommand to an argparse collection of them."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "history", help="print how scores moved over past runs", description="Print how scores moved over past runs."
    )
    parser.add_argument("--task", metavar="T", help="only of this task")
    parser.add_argument("--model", metavar="M", help="only of this model, as --lm-model named it")
    parser.add_argument("--branch", metavar="B", help="only runs of this branch")
    parser.add_argument("--last", metavar="N", type=_count, default=_LAST, help=f"of the latest N runs ({_LAST})")
    parser.add_argument("--all-metrics", action="store_true", help="also metrics that decide nothing")
    parser.add_argument(
        "--lm-history",
        metavar="URL",
        default=os.environ.get(HISTORY_OPTIONS[0].variable),
        help=f"the database (default: {HISTORY_OPTIONS[0].variable}, or {FILE} in this folder)",
    )
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Print the trends. Raises SettingsError or HistoryError."""
    here = Path.cwd()
    where = read_history_settings({"history": given.lm_history}, root=here, invoked=here).where
    if where is None:
        raise SettingsError("--lm-history=off: there is no history to print; name a database")
    unicode = "utf" in (sys.stdout.encoding or "").lower()
    for line in _lines(where, given, unicode=unicode):
        print(line)
    return 0


def _count(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= 10_000:
        raise argparse.ArgumentTypeError(f"{text}: expected a number of runs, at least 1")
    return int(text)


def _lines(where: Path | str, given: argparse.Namespace, *, unicode: bool) -> Iterator[str]:
    from pytest_lmeval.history.database import Database
    from pytest_lmeval.history.drift import shift_of
    from pytest_lmeval.history.schema import RESULTS, RUNS
    from pytest_lmeval.history.series import read_series

    wanted = [
        column == value
        for column, value in ((RUNS.c.model, given.model), (RUNS.c.branch, given.branch))
        if value is not None
    ]
    if given.task is not None:
        # Before the latest are counted: those that evaluated the task.
        wanted.append(RUNS.c.id.in_(_runs_with(RESULTS, given.task)))
    database = Database(where)
    with database.reading() as connection:
        found = read_series(connection, *wanted, last=given.last, main=not given.all_metrics)
    shown = [series for series in found if given.task in (None, series.task)]
    if not shown:
        yield f"no such run in {database.name}"
    for at, series in enumerate(sorted(shown, key=lambda s: (s.model, s.task, s.metric, s.values[0].point.started))):
        if at:
            yield ""
        yield from _table(series, unicode=unicode)
        shift = shift_of(series, among=len(shown))
        if shift is not None:
            yield f"drift: {shift.sentence}"


def _runs_with(results: Any, task: str) -> Any:
    from sqlalchemy import select

    return select(results.c.run_id).where(results.c.task == task).scalar_subquery()


def _table(series: Any, *, unicode: bool) -> Iterator[str]:
    """The values of a series, the newest last, each with its move from the one before."""
    points = series.points
    bars = sparkline([point.value for point in points], unicode=unicode)
    yield _shown(f"{series.task}  {series.metric}  {series.model}  {bars}")
    rows = [("run", "date (UTC)", "commit", "branch", "n", "value", "moved", "verdict")]
    for at, point in enumerate(points):
        step = series.steps()[at - 1] if at else None
        rows.append(
            (
                point.run,
                time.strftime("%Y-%m-%d %H:%M", time.gmtime(point.started)),
                (point.commit or "-")[:10],
                (point.branch or "-")[:24],
                f"{point.n:,}",
                _value(point.value),
                _moved(points[at - 1].value, point.value, step) if at else "",
                point.verdict,
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        yield _shown(_aligned(row, widths))


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    sized = enumerate(zip(row, widths, strict=True))
    cells = [f"{text:>{size}}" if at in _NUMBERS else f"{text:<{size}}" for at, (text, size) in sized]
    return f"  {'  '.join(cells)}".rstrip()


def _value(value: float) -> str:
    from pytest_lmeval.gate.numbers import format_value

    return format_value(value)


def _moved(then: float, now: float, step: float | None) -> str:
    """How far a value is from the one before; with a mark where so many documents rarely go one way by chance."""
    from pytest_lmeval.gate.numbers import format_distance, is_fraction

    distance = format_distance(now - then, fraction=is_fraction(then, now), like=max(abs(then), abs(now)), signed=True)
    return f"! {distance}" if step is not None and abs(step) >= _LARGE else distance


def sparkline(values: Sequence[float], *, unicode: bool) -> str:
    """Draw values as a line of bars, from the least to the largest; level where all are equal."""
    bars = _BARS if unicode else _ASCII_BARS
    low, high = min(values), max(values)
    if high == low:
        return bars[len(bars) // 2] * len(values)
    return "".join(bars[round((value - low) / (high - low) * (len(bars) - 1))] for value in values)


def _shown(text: str) -> str:
    """Nothing that a terminal would take for a command: names come from a database that others write to."""
    return "".join(char if char.isprintable() else "?" for char in text)
