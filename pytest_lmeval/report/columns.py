"""The columns of the table of results: how each cell is spelled, and what goes first where room is short."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pytest_lmeval.gate.numbers import format_value
from pytest_lmeval.gate.verdict import Status
from pytest_lmeval.report.progress import shorten
from pytest_lmeval.report.rows import ReportRow
from pytest_lmeval.report.verdicts import named

# A p-value is never 0; one so small that a float may be is told as a bound.
_SMALLEST = 1e-99
_ANY = 10_000


@dataclass(frozen=True, slots=True)
class Column:
    """A column: how a row's cell is spelled. Where room is short, the most ``droppable`` goes first; 0 stays.

    ``number`` columns have nothing to say of a row without numbers, whose reason stands across them.
    """

    title: str
    cell: Callable[[ReportRow, bool], str]
    left: bool = False
    droppable: int = 0
    number: bool = True

    def spelled(self, row: ReportRow, unicode: bool) -> str:
        """Spell the cell of a row."""
        return "-" if self.number and reason_of(row) else self.cell(row, unicode)


def columns(adjusted: Mapping[str, float]) -> tuple[Column, ...]:
    """All columns from left to right; ``adjusted`` are the p-values of the verdict on the run."""
    return (
        Column("task", lambda row, unicode: shorten(row.task, _ANY, unicode=unicode), left=True, number=False),
        Column("n", lambda row, unicode: str(row.n), droppable=3, number=False),
        Column("metric", lambda row, unicode: shorten(row.metric, _ANY, unicode=unicode), left=True, droppable=6),
        Column("baseline", _baseline, droppable=2),
        Column("value", _value),
        Column("Δ (95% CI)", _difference, droppable=1),
        Column("flips -/+", _flips, droppable=4),
        Column("p adj", _adjusted(adjusted), droppable=5),
        Column("MDE", _detectable, droppable=1),
        Column("verdict", named, left=True, number=False),
    )


def reason_of(row: ReportRow) -> str:
    """Why a row has no numbers, or none that mean anything, as short as can be; "" where it has."""
    if row.verdict != Status.INCOMPARABLE.value and (row.verdict != Status.ERROR.value or row.metric):
        return ""
    lines = row.reason.splitlines() or [""]
    return lines[0].removeprefix(f"{row.task}: ").removeprefix("the baseline was made with ")


def _value(row: ReportRow, unicode: bool) -> str:
    # A task that broke before it was evaluated has a row, and no value.
    if not row.metric:
        return "-"
    if row.finding is not None or row.stderr is None:
        # The interval of the difference stands beside it, and is what matters.
        return format_value(row.value)
    sign = "±" if unicode else "+-"
    return f"{format_value(row.value)} {sign} {format_value(row.stderr, like=row.value)}"


def _baseline(row: ReportRow, unicode: bool) -> str:
    return "-" if row.baseline is None else format_value(row.baseline)


def _difference(row: ReportRow, unicode: bool) -> str:
    """The difference and its interval: in points for accuracies, else in the metric's unit."""
    if row.difference is None:
        return "-"
    found = row.finding
    if found is None:
        return format_value(row.difference, signed=True, like=row.value)
    if found.fraction:
        return f"{100 * found.difference:+.1f} [{100 * found.low:+.1f},{100 * found.high:+.1f}]"
    low, high = (format_value(end, signed=True, like=found.value) for end in (found.low, found.high))
    return f"{format_value(found.difference, signed=True, like=found.value)} [{low},{high}]"


def _flips(row: ReportRow, unicode: bool) -> str:
    if row.baseline is None or (row.finding is not None and row.finding.tested.regressed is None):
        return "-"
    return f"{row.flips_regressed}/{row.flips_improved}"


def _detectable(row: ReportRow, unicode: bool) -> str:
    """The smallest drop that this row could have seen."""
    found = row.finding
    if found is None or not math.isfinite(found.detectable):
        return "-"
    return f"{100 * found.detectable:.1f}" if found.fraction else format_value(found.detectable, like=found.value)


def _adjusted(adjusted: Mapping[str, float]) -> Callable[[ReportRow, bool], str]:
    def cell(row: ReportRow, unicode: bool) -> str:
        p = adjusted.get(row.finding.tested.name) if row.finding else None
        return "-" if p is None else _probability(p)

    return cell


def _probability(p: float) -> str:
    """Four characters, as tables of tests have them: ``.012``, ``1.00``, ``2e-5``."""
    if p >= 0.9995:
        return "1.00"
    if p < _SMALLEST:
        return f"<{_SMALLEST:.0e}"
    return f"{p:.3f}"[1:] if p >= 0.001 else f"{p:.0e}".replace("e-0", "e-")
