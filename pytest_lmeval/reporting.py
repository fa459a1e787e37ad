"""Carry results from the items to the terminal table and the report files, also across xdist's processes."""

from __future__ import annotations

import math
import time
from collections.abc import Generator
from typing import Any

import pytest

from pytest_lmeval.judging import environment
from pytest_lmeval.options import Settings
from pytest_lmeval.report.json_report import write_json
from pytest_lmeval.report.rows import ReportRow
from pytest_lmeval.report.terminal import format_table, format_warnings
from pytest_lmeval.state import ROWS, SETTINGS


class ReportPlugin:
    """Workers attach rows to their reports; the process with the terminal collects and shows them."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._settings: Settings = config.stash[SETTINGS]
        self._is_worker = hasattr(config, "workerinput")
        self._started = time.time()
        self._rows: list[ReportRow] = []

    def pytest_report_header(self) -> str:
        """Name the model under test."""
        settings = self._settings
        parts = [f"model {settings.model}"]
        if settings.evaluation.limit is not None:
            parts.append(f"limit {settings.evaluation.limit.text}")
        if settings.evaluation.data_dir is not None:
            parts.append(f"data {settings.evaluation.data_dir}")
        return f"lmeval: {', '.join(parts)}"

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Attach the item's rows to its report: attributes of plain values survive xdist's serialisation."""
        report = yield
        rows = item.stash.get(ROWS, [])
        broken = report.when == "setup" and report.failed and not rows
        if broken and item.get_closest_marker("lmeval") is not None:
            reason = str(call.excinfo.value) if call.excinfo else ""
            rows = [_error_row(item, str(self._settings.model), reason).to_json()]
        if rows and (report.when == "call" or (report.when == "setup" and report.failed)):
            vars(report)["lmeval_rows"] = [_settled(row, report) for row in rows]
        return report

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Collect rows; called in every process, needed in the one with the terminal."""
        if not self._is_worker:
            self._rows += [ReportRow.from_json(row) for row in getattr(report, "lmeval_rows", ())]

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Print the results table."""
        if self._is_worker or not self._rows:
            return
        writer = terminalreporter._tw
        terminalreporter.section("language model evaluation", sep="=")
        unicode = "utf" in (getattr(writer._file, "encoding", None) or "").lower()
        for line in format_table(self._rows, width=writer.fullwidth, unicode=unicode):
            for text, markup in line:
                terminalreporter.write(text, **markup)
            writer.line()
        for warning in format_warnings(self._rows, unicode=unicode):
            terminalreporter.write_line(warning, yellow=True)
        for target in self._settings.reports:
            terminalreporter.write_line(f"report written to {target.path}")

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, exitstatus: int) -> None:
        """Write the report files, also for a run that failed or was interrupted."""
        if self._is_worker:
            return
        for target in self._settings.reports:
            write_json(target.path, self._rows, self._run(exitstatus))

    def _run(self, exitstatus: int) -> dict[str, Any]:
        settings = self._settings
        limit = settings.evaluation.limit
        return {
            "model": str(settings.model),
            "limit": limit.text if limit else None,
            "seed": settings.evaluation.seed,
            "started": self._started,
            "seconds": time.time() - self._started,
            "exit_status": int(exitstatus),
            "environment": environment(),
        }


def _error_row(item: pytest.Item, model: str, reason: str) -> ReportRow:
    """The row of a task that has no result."""
    return ReportRow(
        nodeid=item.nodeid,
        task=item.name,
        model=model,
        n=0,
        total=0,
        members=0,
        metric="",
        value=math.nan,
        stderr=None,
        baseline=None,
        difference=None,
        flips_regressed=0,
        flips_improved=0,
        verdict="error",
        passed=False,
        reason=reason,
        seconds=0.0,
        tokens=0,
        metrics=(),
    )


def _settled(row: dict[str, Any], report: pytest.TestReport) -> dict[str, Any]:
    """A result without a gate of its own has its test's outcome as its verdict."""
    if row["verdict"] != "test":
        return row
    return {**row, "verdict": "pass" if report.passed else "test-failed", "passed": report.passed}
