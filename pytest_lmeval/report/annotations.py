"""Annotations of GitHub Actions: what went wrong, shown at the lines of the task files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from pytest_lmeval.report.escaping import command
from pytest_lmeval.report.outcomes import Kind, counts_told, kind_of, verdict_told, worst_first
from pytest_lmeval.report.progress import shorten
from pytest_lmeval.report.rows import ReportRow
from pytest_lmeval.runs.run import Run

#: GitHub shows so many errors of a step, and so many warnings.
MOST = 10
_LONGEST = 2_000
_FAILING = (Kind.FAILED, Kind.UNSURE, Kind.ERROR)

#: Finds the file of a row as the repository has it; None where it is not in the repository.
Place = Callable[[ReportRow], str | None]


def annotate(run: Run, place: Place) -> Iterator[str]:
    """Yield commands for the log: at most ten errors and ten warnings, the worst first, and a line of totals."""
    rows = worst_first(run.rows)
    failing = [row for row in rows if kind_of(row) in _FAILING]
    warned = [row for row in rows if kind_of(row) is Kind.WARNED]
    errors = [*_suite(run), *(_annotation("error", row, place) for row in failing)]
    warnings = [_annotation("warning", row, place) for row in warned]
    yield from errors[:MOST]
    yield from warnings[:MOST]
    yield command("notice", _totals(rows, len(errors), len(warnings)), title="language model evaluation")


def _suite(run: Run) -> Iterator[str]:
    """The verdict on the run, where no task's own annotation tells of it."""
    if run.suite is not None and run.suite.failed and all(row.passed for row in run.rows):
        yield command("error", _cut("\n".join(run.suite.sentences)), title="the run as a whole regressed")


def _annotation(level: str, row: ReportRow, place: Place) -> str:
    file = place(row)
    where: dict[str, str | int] = {} if file is None else {"file": file, "line": row.line or 1}
    return command(level, _told(row), **where, title=f"{_name(row)} {verdict_told(row).lower()}")


def _name(row: ReportRow) -> str:
    return shorten(row.task, 80, unicode=True)


def _told(row: ReportRow) -> str:
    """What a person is told first: the verdict and its reasons, without the numbers and the documents."""
    told = row.explanation.split("\n\n", 1)[0] if row.explanation else row.reason
    return _cut("\n".join(part.strip() for part in (told, *row.warnings) if part.strip()) or verdict_told(row))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _totals(rows: Sequence[ReportRow], errors: int, warnings: int) -> str:
    hidden = max(0, errors - MOST) + max(0, warnings - MOST)
    more = f"; {hidden:,} more are only in the job summary and the log" if hidden else ""
    return f"{counts_told(rows)}{more}"
