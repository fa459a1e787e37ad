"""What became of a task and of a run, as reports for CI tell it: a kind, a symbol, and an order from the worst."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from enum import StrEnum

from pytest_lmeval.gate.suite import SuiteStatus
from pytest_lmeval.gate.verdict import Status
from pytest_lmeval.report.rows import ReportRow
from pytest_lmeval.runs.run import Run


class Kind(StrEnum):
    """What a result means for who has to act, the worst first.

    ``FAILED``: the quality is below the bar. ``UNSURE``: it failed for not being sure. ``ERROR``: it failed, and
    nothing was found out about quality. ``WARNED``: it passed and there is something to say.
    """

    FAILED = "failed"
    UNSURE = "unsure"
    ERROR = "error"
    WARNED = "warned"
    IMPROVED = "improved"
    PASSED = "passed"


_UNJUDGED = {Status.ERROR, Status.INCOMPARABLE, Status.NO_BASELINE}
_SYMBOLS = {
    Kind.FAILED: "❌",
    Kind.UNSURE: "❓",
    Kind.ERROR: "⊘",
    Kind.WARNED: "⚠️",
    Kind.IMPROVED: "✅",
    Kind.PASSED: "✅",
}
_ORDER = list(Kind)
_STATUSES = list(Status)


def kind_of(row: ReportRow) -> Kind:
    """Name what a row means."""
    if not row.passed:
        if row.verdict in _UNJUDGED:
            return Kind.ERROR
        return Kind.UNSURE if row.verdict == Status.INCONCLUSIVE else Kind.FAILED
    if row.notes or row.warnings or row.verdict == Status.NO_BASELINE:
        return Kind.WARNED
    return Kind.IMPROVED if row.verdict == Status.IMPROVED else Kind.PASSED


def symbol_of(row: ReportRow) -> str:
    """Give the symbol of a row's kind."""
    return _SYMBOLS[kind_of(row)]


def verdict_told(row: ReportRow) -> str:
    """Spell the verdict as people read it: ``BELOW THRESHOLD``. A name of another program's is no markup."""
    return re.sub(r"[^A-Z ]", "", row.verdict.replace("-", " ").upper())[:40]


def worst_first(rows: Iterable[ReportRow]) -> list[ReportRow]:
    """Sort rows: what failed by quality before what could not be judged, before what passed."""
    return sorted(rows, key=lambda row: (_ORDER.index(kind_of(row)), _place(row), row.task, row.model))


def run_kind(run: Run) -> Kind:
    """Name what a run means: the worst of its rows, or what they say together."""
    kinds = {kind_of(row) for row in run.rows}
    if run.suite is not None and run.suite.failed:
        kinds.add(Kind.FAILED)
    elif run.suite is not None and run.suite.status is SuiteStatus.SUSPECT:
        kinds.add(Kind.WARNED)
    return min(kinds, key=_ORDER.index, default=Kind.PASSED)


def counts_told(rows: Iterable[ReportRow]) -> str:
    """Count the verdicts, the worst first: ``1 regressed · 3 pass``."""
    counts = Counter(row.verdict for row in rows)
    known = [status.value for status in _STATUSES if counts[status.value]]
    names = [*sorted(counts.keys() - set(known)), *known]
    return " · ".join(f"{counts[name]:,} {re.sub(r'[^a-z-]', '', name)[:40]}" for name in names)


def _place(row: ReportRow) -> int:
    return _STATUSES.index(Status(row.verdict)) if row.verdict in _STATUSES else -1
