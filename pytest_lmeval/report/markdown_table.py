"""The table of a Markdown report, worst first; columns in which nothing stands are left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from pytest_lmeval.report.cells import (
    baseline_cell,
    detectable_cell,
    difference_cell,
    flips_cell,
    probability_cell,
    value_cell,
)
from pytest_lmeval.report.escaping import code
from pytest_lmeval.report.outcomes import symbol_of, verdict_told, worst_first
from pytest_lmeval.report.rows import ReportRow
from pytest_lmeval.runs.run import Run

_NAME_WIDTH = 60
_TEXTS = ("", "task", "metric", "verdict")


def table(run: Run, room: int) -> Iterator[str]:
    """Yield the lines of the table, in about ``room`` bytes: rows that do not fit are counted."""
    rows = worst_first(run.rows)
    columns = [(title, cells) for title, cell in _columns(run) if any(cells := [cell(row) for row in rows])]
    yield _line([title for title, _ in columns])
    yield _line([":--" if title in _TEXTS else "--:" for title, _ in columns])
    for at in range(len(rows)):
        line = _line([cells[at] for _, cells in columns])
        room -= len(line.encode()) + 1
        if room < 0:
            yield f"\n_{len(rows) - at:,} more tasks, none of them worse, are left out for lack of room._"
            return
        yield line


def _columns(run: Run) -> Sequence[tuple[str, Callable[[ReportRow], str]]]:
    adjusted = run.suite.adjusted if run.suite else {}
    return (
        ("", symbol_of),
        ("task", lambda row: code(row.task, _NAME_WIDTH)),
        ("n", lambda row: f"{row.n:,}" if row.n else ""),
        ("metric", lambda row: code(row.metric, _NAME_WIDTH) if row.metric else ""),
        ("baseline", baseline_cell),
        ("now", value_cell),
        ("Δ (95 % CI)", difference_cell),
        ("flips -/+", flips_cell),
        ("p adj", lambda row: probability_cell(adjusted.get(row.finding.tested.name) if row.finding else None)),
        ("MDE", detectable_cell),
        ("verdict", verdict_told),
    )


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
