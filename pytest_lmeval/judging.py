"""From a result to the item's verdict, its baseline file, its properties and its row in the report."""

from __future__ import annotations

import dataclasses
import datetime
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from pytest_lmeval.backends.protocol import ModelInfo
from pytest_lmeval.baselines.extension import baseline_assertion, check_baseline
from pytest_lmeval.baselines.files import read_baseline
from pytest_lmeval.baselines.location import baseline_key, baseline_path
from pytest_lmeval.baselines.record import from_result
from pytest_lmeval.check import Judged
from pytest_lmeval.collection import TaskItem, describe, document_of, gate_of
from pytest_lmeval.errors import BackendError, BaselineError, UserError
from pytest_lmeval.gate.explain import explain
from pytest_lmeval.gate.missing import too_many_errors
from pytest_lmeval.gate.policy import GatePolicy, GateSyntaxError, ModelPolicy
from pytest_lmeval.gate.settings import Layer, Mode
from pytest_lmeval.gate.verdict import Verdict, judge
from pytest_lmeval.marks import marked_task
from pytest_lmeval.options import Stored
from pytest_lmeval.report.rows import report_row
from pytest_lmeval.results import TaskResult
from pytest_lmeval.runner import Runner
from pytest_lmeval.state import ROWS, SETTINGS
from pytest_lmeval.xdist import command_line

_PACKAGES = ("pytest-lmeval", "torch", "transformers", "datasets", "tokenizers")


def check_baseline_file(item: TaskItem) -> None:
    """Find a baseline that cannot be used before the model has worked for it. Raises BaselineError."""
    settings = item.config.stash[SETTINGS]
    if _policy(item).settings.mode is not Mode.OFF and not settings.baseline.update:
        read_baseline(_baseline_of(item))


def judge_item(request: pytest.FixtureRequest, result: TaskResult, runner: Runner) -> Judged:
    """Judge the result of a benchmark item or a marked test.

    Raises BaselineError where it cannot be judged, BackendError where too many documents were not answered.
    """
    item = request.node
    check_errors(item, result)
    try:
        verdict = _with_baseline(request, item, result, runner) if isinstance(item, TaskItem) else _marked(item, result)
    except UserError as error:
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
    """Raise BackendError, and show the result as an error, where too many documents were not answered."""
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


def _with_baseline(request: pytest.FixtureRequest, item: TaskItem, result: TaskResult, runner: Runner) -> Verdict:
    settings = item.config.stash[SETTINGS]
    item.lm_baseline_path = _baseline_of(item)
    try:
        return check_baseline(
            baseline_assertion(request, settings.baseline.update is not None),
            result,
            from_result(result, _model(runner.info), environment(), datetime.date.today().isoformat()),
            _policy(item),
            require_baseline=settings.baseline.required and settings.baseline.update is None,
        )
    except GateSyntaxError as error:
        raise document_of(item.target).error(str(error), "gate") from None


def _baseline_of(item: TaskItem) -> Path:
    settings = item.config.stash[SETTINGS]
    against = settings.baseline.against
    folder = against.folder if isinstance(against, Stored) else None
    return baseline_path(folder or settings.baseline_dir / baseline_key(str(settings.model)), item.task_name)


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
