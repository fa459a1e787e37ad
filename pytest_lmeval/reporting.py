"""Carry results from the items to the terminal table and the report files, also across xdist's processes."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_lmeval.baseline_sources import against, missing_folder
from pytest_lmeval.errors import UserError
from pytest_lmeval.gate.suite import SuiteVerdict, judge_suite
from pytest_lmeval.judging import environment
from pytest_lmeval.model_facts import ModelFacts, told
from pytest_lmeval.options import ReportTarget, Settings, Stored, SuiteTest
from pytest_lmeval.options.secret import without_secrets
from pytest_lmeval.recording import keep_run, run_folder
from pytest_lmeval.report.rows import ReportRow
from pytest_lmeval.report.summary import summary, write_lines
from pytest_lmeval.report.terminal import format_hints
from pytest_lmeval.report.told import Told, width_of
from pytest_lmeval.report.writers import write_report
from pytest_lmeval.runs.origin import origin_of
from pytest_lmeval.runs.run import Run, RunFacts
from pytest_lmeval.state import ROWS, RUN_ID, RUNNER, SETTINGS
from pytest_lmeval.tasks.options import EvaluationOptions


class ReportPlugin:
    """Workers attach rows to their reports; the process with the terminal collects and shows them."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._settings: Settings = config.stash[SETTINGS]
        self._is_worker = hasattr(config, "workerinput")
        self._started = time.time()
        self._rows: list[ReportRow] = []
        self._unwritten: dict[ReportTarget, str] = {}
        self._remarks: list[str] = []
        self._facts: ModelFacts | None = None
        self._run: Run | None = None

    def pytest_report_header(self) -> str:
        """Name the model under test, and what it is compared with where that is not its own past."""
        named = [f"model {self._settings.model}"]
        if other := against(self._settings):
            named.append(f"against {other}")
        if self._settings.gate.detect is not None:
            named.append(f"detect {self._settings.gate.detect}")
        return "lmeval: " + ", ".join([*named, *_facts(self._settings.evaluation)])

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
        if rows and report.when == "setup" and (text := _told_by(call)):
            # What cannot be judged is told as what is not good enough: without the name of an exception.
            report.longrepr = text
        if rows and (report.when == "call" or (report.when == "setup" and report.failed)):
            vars(report)["lmeval_rows"] = [_settled(row, report) for row in rows]
        return report

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Collect rows; called in every process, needed in the one with the terminal."""
        if self._is_worker:
            return
        if hasattr(report, "lmeval_rows") and isinstance(report.longrepr, str):
            path, line, _ = report.location
            report.longrepr = Told(report.longrepr, path, (line or 0) + 1)
        for row in (ReportRow.from_json(row) for row in getattr(report, "lmeval_rows", ())):
            self._rows.append(row)
            self._tell("pytest_lmeval_task_finished", row=row)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Print the results, and where the reports are: with -q one line of results, with -qq none."""
        if self._is_worker:
            return
        verbosity = self._config.get_verbosity()
        if self._run is not None and self._run.rows:
            self._write_results(terminalreporter, self._run, verbosity)
        if verbosity >= 0:
            self._write_remarks(terminalreporter)
        for target in self._settings.reports:
            if target in self._unwritten:
                # Whoever waits for the file is told, however quiet the run.
                terminalreporter.write_line(f"no report at {target.path}: {self._unwritten[target]}", red=True)
            elif self._rows and verbosity >= 0:
                terminalreporter.write_line(f"report written to {target.path}")

    def _write_results(self, terminalreporter: Any, run: Run, verbosity: int) -> None:
        writer = terminalreporter._tw
        unicode = "utf" in (getattr(writer._file, "encoding", None) or "").lower()
        if verbosity >= 0:
            terminalreporter.write_sep("=", "language model evaluation")
        elif verbosity == -1:
            terminalreporter.ensure_newline()
        lines = summary(run, width=writer.fullwidth, unicode=unicode, verbosity=verbosity, wrapped=width_of(writer))
        write_lines(writer.write, lines)

    def _write_remarks(self, terminalreporter: Any) -> None:
        recordable, lacking = isinstance(self._settings.baseline.against, Stored), missing_folder(self._settings)
        hints = format_hints(self._rows, recordable=recordable, lacking=lacking) if self._rows else []
        for hint in hints:
            terminalreporter.write_line(hint, yellow=True)
        if self._facts is not None and self._facts.usage is not None:
            terminalreporter.write_line(told(self._facts.usage))
        for remark in self._remarks:
            terminalreporter.write_line(remark, yellow=True)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Write the report files, also for a run that failed or was interrupted."""
        facts = session.config.stash[RUNNER].facts
        if self._is_worker:
            session.config.workeroutput["lmeval_model"] = facts and facts.to_json()  # type: ignore[attr-defined]
            return
        self._add(facts)
        suite = self._judged()
        if suite is not None and suite.failed and exitstatus == pytest.ExitCode.OK:
            session.exitstatus = exitstatus = pytest.ExitCode.TESTS_FAILED
        folder = run_folder(self._config) if self._rows else None
        self._run = Run(facts=self._run_facts(exitstatus), rows=tuple(self._rows), suite=suite, folder=folder)
        if folder is not None:
            self._keep(folder, self._run)
        self._run = self._remembered(self._run)
        for target in self._settings.reports:
            try:
                write_report(target.kind, target.path, self._run)
            except (OSError, UserError) as error:
                # The table is still shown, but whoever waits for the file must not see a success.
                self._unwritten[target] = getattr(error, "strerror", None) or str(error)
                session.exitstatus = exitstatus or pytest.ExitCode.TESTS_FAILED
        if self._rows:
            self._tell("pytest_lmeval_run_finished", run=self._run)

    def _tell(self, hook: str, **facts: Any) -> None:
        """Call a hook of ours. What implements it is somebody else's, may raise anything, and changes no outcome."""
        try:
            getattr(self._config.hook, hook)(config=self._config, **facts)
        except Exception as error:  # noqa: BLE001
            self._remarks.append(f"{hook}: {type(error).__name__}: {error}")

    def _keep(self, folder: Path, run: Run) -> None:
        try:
            keep_run(folder, run, self._settings)
        except OSError as error:
            # Nobody asked for it: a disk that is full or read-only fails no run.
            self._remarks.append(f"this run is not kept: {folder}: {error.strerror or error}")

    def _remembered(self, run: Run) -> Run:
        """Append the run to the history. One that cannot be reached or written fails no run, and hides no result."""
        where = self._settings.history.where
        if where is None or not run.rows:
            return run
        from pytest_lmeval.history.remembering import remember

        try:
            remembered = remember(run, where)
        except UserError as error:
            self._remarks.append(f"not in the history: {error}")
            return run
        self._remarks += [f"drift: {sentence}" for sentence in remembered.shifts]
        return replace(run, trends=remembered.trends)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Add what a worker of xdist's tells at its end; one that crashed tells nothing."""
        facts = getattr(node, "workeroutput", {}).get("lmeval_model")
        self._add(facts and ModelFacts.from_json(facts))

    def _add(self, facts: ModelFacts | None) -> None:
        if facts is not None:
            self._facts = facts if self._facts is None else self._facts.with_others(facts)

    def _judged(self) -> SuiteVerdict | None:
        """Judge the run: here and not in a worker, which sees a part of it."""
        tested = [finding.tested for row in self._rows for finding in row.findings]
        everything = self._settings.gate.suite_test is SuiteTest.ALL
        return judge_suite(tested, everything=everything, seed=self._settings.evaluation.seed)

    def _run_facts(self, exitstatus: int) -> RunFacts:
        return RunFacts(
            id=self._config.stash[RUN_ID],
            model=str(self._settings.model),
            answered=self._facts,
            against=against(self._settings),
            started=self._started,
            seconds=time.time() - self._started,
            exit_status=int(exitstatus),
            options=_options(self._settings),
            command=("pytest", *without_secrets([str(word) for word in self._config.invocation_params.args])),
            environment=environment(),
            origin=origin_of(self._config.rootpath),
        )


def _options(settings: Settings) -> dict[str, Any]:
    options, detect = settings.evaluation, settings.gate.detect
    return {
        "limit": options.limit.text if options.limit else None if detect is None else f"detect {detect}",
        "seed": options.seed,
        "num_fewshot": options.num_fewshot,
        "generation_kwargs": options.generation_kwargs,
        "system": options.prompt.system or None,
        "chat_template": options.prompt.chat_template,
        "fewshot_multiturn": options.prompt.multiturn if options.prompt.chat_template else None,
    }


def _facts(options: EvaluationOptions) -> Iterator[str]:
    """What the user changed about the tasks."""
    if options.limit is not None:
        yield f"limit {options.limit.text}"
    if options.num_fewshot is not None:
        yield f"{options.num_fewshot} few-shot examples"
    if options.prompt.chat_template:
        yield "chat template" if options.prompt.multiturn else "chat template (examples in one message)"
    if options.prompt.system:
        yield "system instruction"
    if options.data_dir is not None:
        yield f"data {options.data_dir}"


def _told_by(call: pytest.CallInfo[None]) -> str:
    """The text with which a phase was failed in words, "" where it was not."""
    error = call.excinfo.value if call.excinfo is not None else None
    return str(error) if isinstance(error, pytest.fail.Exception) and not error.pytrace else ""


def _error_row(item: pytest.Item, model: str, reason: str) -> ReportRow:
    """The row of a task that has no result."""
    file, line, _ = item.location
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
        file=file,
        line=None if line is None else line + 1,
    )


def _settled(row: dict[str, Any], report: pytest.TestReport) -> dict[str, Any]:
    """A result without a gate of its own has its test's outcome as its verdict."""
    if row["verdict"] != "test":
        return row
    return {**row, "verdict": "pass" if report.passed else "test-failed", "passed": report.passed}
