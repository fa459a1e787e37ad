"""Finer exit codes: whether a failed run says anything about the model's quality."""

from __future__ import annotations

from enum import Enum, auto
from typing import Any

import pytest

from pytest_lmeval.report.outcomes import Kind, kind_of
from pytest_lmeval.report.rows import ReportRow
from pytest_lmeval.runs.run import Run

#: Every failure is a result that is not sure enough: ask more documents.
UNSURE = 20
#: Every failure is an error of the model's engine or of the comparison: try again, or mend it.
NOT_JUDGED = 21


class _Failure(Enum):
    UNSURE = auto()
    NOT_JUDGED = auto()
    OTHER = auto()


_OF_ROWS = {Kind.UNSURE: _Failure.UNSURE, Kind.ERROR: _Failure.NOT_JUDGED}
_CODES = {_Failure.UNSURE: UNSURE, _Failure.NOT_JUDGED: NOT_JUDGED}


class ExitCodesPlugin:
    """Looks at every failure of the run, of whatever test; one of another kind keeps pytest's own code."""

    def __init__(self) -> None:
        self._failures: set[_Failure] = set()

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Note why a test failed."""
        if report.failed:
            rows = [ReportRow.from_json(row) for row in getattr(report, "lmeval_rows", ())]
            kinds = {_OF_ROWS.get(kind_of(row), _Failure.OTHER) for row in rows if not row.passed}
            self._failures |= kinds or {_Failure.OTHER}

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note a file that could not be collected."""
        if report.failed:
            self._failures.add(_Failure.OTHER)

    # First, since one that raises keeps those after it from being called.
    @pytest.hookimpl(tryfirst=True)
    def pytest_lmeval_run_finished(self, run: Run) -> None:
        """Note that the run as a whole failed."""
        if run.suite is not None and run.suite.failed:
            self._failures.add(_Failure.OTHER)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Set the exit code, after the verdict on the run is known."""
        failures = self._failures
        if session.exitstatus == pytest.ExitCode.TESTS_FAILED and len(failures) == 1:
            session.exitstatus = _CODES.get(next(iter(failures)), session.exitstatus)
