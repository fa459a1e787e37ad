"""The table of ``--lm-plan``: what a run would ask, and what its gates would see."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pytest_lmeval.report.progress import format_duration, shorten
from pytest_lmeval.report.terminal import Line

_PLAIN: Mapping[str, bool] = {}
_RED, _YELLOW = {"red": True}, {"yellow": True}
_HEADS = ("task", "documents", "requests", "tokens", "time", "sees", "margin")
#: A name is cut to this before numbers are: they are why the table is read.
_LEAST_NAME = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRow:
    """One task or group. ``documents`` are asked, of ``total``.

    ``requests``, ``tokens`` and ``seconds`` are estimates, None where they are not known or counted in other rows.
    ``mde`` is the smallest drop that its gate detects and ``margin`` what the gate allows, both from 0 to 1; None where
    there is no such gate. ``remark`` is about what the gate cannot see, ``problem`` why there is nothing else.
    """

    task: str
    documents: int = 0
    total: int = 0
    requests: int | None = None
    tokens: int | None = None
    seconds: float | None = None
    mde: float | None = None
    margin: float | None = None
    remarks: tuple[str, ...] = ()
    problem: str = ""


def format_plan(rows: Sequence[PlanRow], *, width: int, unicode: bool) -> list[Line]:
    """Lay out the rows in at most ``width`` columns, then remarks and problems, each with its task."""
    cells = [_HEADS, *(_cells(row) for row in rows if not row.problem)]
    sizes = [max(len(line[at]) for line in cells) for at in range(len(_HEADS))]
    excess = max(0, sum(sizes) + 2 * (len(sizes) - 1) - width)
    sizes[0] = max(min(sizes[0], _LEAST_NAME), sizes[0] - excess)
    table = [((_row(line, sizes, unicode)[:width], _PLAIN),) for line in cells] if len(cells) > 1 else []
    remarks = [_said(row.task, remark, _YELLOW, unicode) for row in rows for remark in row.remarks]
    problems = [_said(row.task, row.problem, _RED, unicode) for row in rows if row.problem]
    return [*table, *remarks, *problems]


def _row(cells: Sequence[str], sizes: Sequence[int], unicode: bool) -> str:
    name = shorten(cells[0], sizes[0], unicode=unicode)
    rest = [f"{cell:>{size}}" for cell, size in zip(cells[1:], sizes[1:], strict=True)]
    return "  ".join([f"{name:<{sizes[0]}}", *rest])


def _cells(row: PlanRow) -> tuple[str, ...]:
    documents = f"{row.documents:,}" if row.documents == row.total else f"{row.documents:,}/{row.total:,}"
    return (
        row.task,
        documents,
        _count(row.requests),
        "-" if row.tokens is None else short_number(row.tokens),
        "-" if row.seconds is None else format_duration(row.seconds),
        _points(row.mde),
        _points(row.margin),
    )


def _count(number: int | None) -> str:
    return "-" if number is None else f"{number:,}"


def short_number(number: float) -> str:
    """Spell an estimate with two digits, as it deserves: ``640``, ``75k``, ``1.2M``."""
    rounded = float(f"{number:.2g}")
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if rounded >= size:
            return f"{rounded / size:.1f}{letter}" if rounded < 10 * size else f"{rounded / size:.0f}{letter}"
    return f"{rounded:.0f}"


def _points(value: float | None) -> str:
    if value is None:
        return "-"
    if not math.isfinite(value):
        return "nothing"
    return f"{100 * value:.1f} pp" if value == 0 or value >= 0.00095 else f"{100 * value:.2g} pp"


def _said(task: str, text: str, markup: Mapping[str, bool], unicode: bool) -> Line:
    # What is said of a task may quote its file or its data, and begin with its name.
    said = " ".join(text.split()).removeprefix(f"{task}: ")
    return ((shorten(f"{task}: {said}", 1000, unicode=unicode), markup),)
