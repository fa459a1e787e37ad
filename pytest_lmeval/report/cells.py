"""The numbers of a row, spelled as tables show them; ``""`` where there is none."""

from __future__ import annotations

import math

from pytest_lmeval.gate.numbers import format_value
from pytest_lmeval.report.rows import ReportRow

# A p-value is never 0; one so small that a float may be is told as a bound.
_SMALLEST = 1e-99


def value_cell(row: ReportRow) -> str:
    """The value, with its standard error where no interval of a difference stands beside it."""
    if not row.metric:
        return ""
    if row.finding is not None or row.stderr is None:
        return format_value(row.value)
    return f"{format_value(row.value)} ± {format_value(row.stderr, like=row.value)}"


def baseline_cell(row: ReportRow) -> str:
    """The baseline's value over the compared documents."""
    return "" if row.baseline is None else format_value(row.baseline)


def difference_cell(row: ReportRow) -> str:
    """The difference and its 95 % interval: in points for accuracies, else in the metric's unit."""
    found = row.finding
    if row.difference is None:
        return ""
    if found is None:
        return format_value(row.difference, signed=True, like=row.value)
    if found.fraction:
        return f"{100 * found.difference:+.1f} [{100 * found.low:+.1f}, {100 * found.high:+.1f}] pp"
    low, high = (format_value(end, signed=True, like=found.value) for end in (found.low, found.high))
    return f"{format_value(found.difference, signed=True, like=found.value)} [{low}, {high}]"


def flips_cell(row: ReportRow) -> str:
    """Documents lost and gained."""
    if row.baseline is None or (row.finding is not None and row.finding.tested.regressed is None):
        return ""
    return f"{row.flips_regressed:,} / {row.flips_improved:,}"


def detectable_cell(row: ReportRow) -> str:
    """The smallest drop that the comparison could have seen."""
    found = row.finding
    if found is None or not math.isfinite(found.detectable):
        return ""
    return f"{100 * found.detectable:.1f} pp" if found.fraction else format_value(found.detectable, like=found.value)


def probability_cell(p: float | None) -> str:
    """A p-value as tables of tests have it: ``.012``, ``1.00``, ``2e-5``."""
    if p is None:
        return ""
    if p >= 0.9995:
        return "1.00"
    if p < _SMALLEST:
        return f"<{_SMALLEST:.0e}"
    return f"{p:.3f}"[1:] if p >= 0.001 else f"{p:.0e}".replace("e-0", "e-")
