"""The rows as a Markdown table."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.gate.rows import Row

COLUMNS = ("test", "setting", "what", "alpha", "rate %", "required", "")


def render(rows: Sequence[Row]) -> str:
    """Return the table; the last column marks rates that are not what they have to be."""
    lines = [_line(COLUMNS), _line(["---", "---", "---", "---:", "---:", "---:", "---"])]
    return "\n".join([*lines, *(_line(_cells(row)) for row in rows)]) + "\n"


def _cells(row: Row) -> list[str]:
    return [row.test, row.setting, row.what, f"{row.alpha:g}", _rate(row), _required(row), "" if row.holds else "FAILS"]


def _rate(row: Row) -> str:
    value = f"{100 * row.rate.value:.2f}"
    return f"{value} (exact)" if row.rate.trials is None else f"{value} ± {100 * row.rate.error:.2f}"


def _required(row: Row) -> str:
    limits = (("≤", row.at_most), ("≥", row.at_least))
    return " and ".join(f"{sign} {100 * limit:.3g}" for sign, limit in limits if limit is not None) or "-"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


EXPLANATION = """\
Rates are of rejections: false alarms where both runs are of equal models, power where one is worse. After ± stands the
standard error of the simulation; exact rates are sums over all outcomes. Required rates are checked within four such
errors; where none is, the row shows what the gate does not do, or how it would be done wrong.
"""
