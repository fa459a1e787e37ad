"""From a result to the item's verdict, its baseline file, its properties and its row in the report."""

from __future__ import annotations

import dataclasses
import datetime
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from types import MappingProxyType
from typing import Any

import pytest

from pytest_lmeval.backends.protocol import ModelInfo
from pytest_lmeval.baseline_sources import baseline_of, is_compared, is_stored, stored_path, why_missing
from pytest_lmeval.baselines.extension import baseline_assertion, check_baseline
from pytest_lmeval.baselines.record import from_result
from pytest_lmeval.calibrating import Calibration, calibration_of
from pytest_lmeval.check import Judged
from pytest_lmeval.collection import TaskItem, describe, document_of, gate_of
from pytest_lmeval.errors import BackendError, BaselineError, LMEvalError
from pytest_lmeval.gate.explain import explain
from pytest_lmeval.gate.missing import too_many_errors
from pytest_lmeval.gate.monitor import StopKind
from pytest_lmeval.gate.policy import GatePolicy, GateSyntaxError, ModelPolicy
from pytest_lmeval.gate.settings import Layer, Mode
from pytest_lmeval.gate.verdict import Status, Verdict, judge
from pytest_lmeval.marks import marked_task
from pytest_lmeval.report.rows import report_row
from pytest_lmeval.results import TaskResult
from pytest_lmeval.runner import Runner
from pytest_lmeval.state import ROWS, SETTINGS
from pytest_lmeval.stopping import stop_of
from pytest_lmeval.xdist import command_line

_PACKAGES = ("pytest-lmeval", "torch", "transformers", "datasets", "tokenizers")


def check_baseline_file(item: TaskItem) -> None:
    """Find a baseline that cannot be used before the model has worked for it. Raises as :func:`baseline_of`."""
    if is_compared(item) and not item.config.stash[SETTINGS].baseline.update:
        baseline_of(item)


def judge_item(request: pytest.FixtureRequest, result: TaskResult, runner: Runner) -> Judged:
    """Judge the result of a benchmark item or a marked test.

    Raises BaselineError where it cannot be judged, BackendError where too many documents were not answered.
    """
    item = request.node
    check_errors(item, result)
    try:
        if isinstance(item, TaskItem):
            calibration = calibration_of(item, result, runner)
            verdict = _with_baseline(request, item, result, runner, calibration)
            if calibration is not None:
                verdict, result = calibration.beside(verdict), calibration.warned()
        else:
            verdict = _marked(item, result)
    except LMEvalError as error:
        # What the model did may have taken hours: its result is shown, judged or not.
        add_row(
            item, result, changes={"verdict": "error", "passed": False, "reason": describe(error, item.config.rootpath)}
        )
        raise
    add_row(item, result, verdict)
    text = explain(verdict, result, command=command_line(item.config))
    if verdict.is_error:
        raise BaselineError(text)
    return Judged(passed=verdict.passed, explanation=text)


def check_errors(item: pytest.Item, result: TaskResult) -> None:
    """Raise BackendError, and show the result as an error, of a broken model or where too much was not answered."""
    stop = stop_of(item, result.task)
    if stop is not None and stop.kind is StopKind.BROKEN:
        told: str | None = f"{result.task}: stopped {stop}"
    else:
        told = too_many_errors(result, _policy(item).settings.max_error_rate)
    if told is not None:
        add_row(item, result, changes={"verdict": "error", "passed": False, "reason": told})
        raise BackendError(told)


def add_row(
    item: pytest.Item,
    result: TaskResult,
    verdict: Verdict | None = None,
    changes: Mapping[str, Any] = MappingProxyType({"verdict": "test", "reason": ""}),
) -> None:
    """Put the result into the report. Without a verdict ``changes`` say what to show, else the test's own outcome."""
    settings = item.config.stash[SETTINGS]
    judged = verdict or judge(result, ModelPolicy(), None, require_baseline=False)
    row = report_row(result, judged, nodeid=item.nodeid, model=str(settings.model))
    item.stash.setdefault(ROWS, []).append(row.to_json() | ({} if verdict else dict(changes)))
    for name, value in _properties(result, judged).items():
        item.user_properties.append((f"lm.{name}", value))


def _with_baseline(
    request: pytest.FixtureRequest,
    item: TaskItem,
    result: TaskResult,
    runner: Runner,
    calibration: Calibration | None,
) -> Verdict:
    settings = item.config.stash[SETTINGS]
    policy = gate_of(item.target).for_model(str(settings.model)).under(settings.gate.layers)
    try:
        if not is_stored(item):
            return _with_other_source(item, result, policy)
        recorded = from_result(result, _model(runner.info), environment(), datetime.date.today().isoformat())
        item.lm_baseline_path = stored_path(item)
        return check_baseline(
            baseline_assertion(request, settings.baseline.update is not None),
            result,
            recorded,
            policy,
            require_baseline=settings.baseline.required and settings.baseline.update is None,
            update=settings.baseline.update,
            accept_regression=settings.baseline.accept_regression,
            measure_noise=calibration,
        )
    except GateSyntaxError as error:
        raise document_of(item.target).error(str(error), "gate") from None


def _with_other_source(item: TaskItem, result: TaskResult, policy: ModelPolicy) -> Verdict:
    """Judge by published scores or another model's answers, which no run writes."""
    baseline = baseline_of(item) if is_compared(item) else None
    required = item.config.stash[SETTINGS].baseline.required
    verdict = judge(result, policy, baseline, require_baseline=required)
    if baseline is None and verdict.status is Status.NO_BASELINE and (why := why_missing(item)):
        return dataclasses.replace(verdict, reasons=(why, *verdict.reasons[1:]))
    return verdict


def _marked(item: pytest.Item, result: TaskResult) -> Verdict:
    """A Python test has thresholds and no baseline: two tests may ask one task in different ways."""
    return judge(result, _policy(item).under([Layer(mode=Mode.OFF)]), None, require_baseline=False)


def _policy(item: pytest.Item) -> ModelPolicy:
    """The gate of the item's task, or of the task that its mark names, under the run's settings."""
    settings = item.config.stash[SETTINGS]
    marked = None if isinstance(item, TaskItem) else marked_task(item)
    gate = gate_of(item.target) if isinstance(item, TaskItem) else marked.gate if marked else GatePolicy()
    return gate.for_model(str(settings.model)).under(settings.gate.layers)


def _model(info: ModelInfo) -> dict[str, Any]:
    return dataclasses.asdict(info)


def environment() -> dict[str, str]:
    """What a baseline was recorded on: Python, platform and the versions of the packages that make the numbers."""
    found = {"python": platform.python_version(), "platform": f"{platform.system()}-{platform.machine()}"}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _properties(result: TaskResult, verdict: Verdict) -> dict[str, str | int | float]:
    """What JUnit files show of a test case; plain values, since they also travel from xdist's workers."""
    main = result.metric(result.main_metric)
    properties: dict[str, str | int | float | None] = {
        "task": result.task,
        "metric": main.key,
        "score": main.value,
        "stderr": main.stderr,
        "n": result.n,
        "tokens": result.tokens,
        "verdict": verdict.status.value,
    }
    return {name: value for name, value in properties.items() if value is not None}
