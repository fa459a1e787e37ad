"""From a result to the item's verdict, its baseline file, its properties and its row in the report."""

from __future__ import annotations

import dataclasses
import datetime
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import pytest

from pytest_lmeval.backends.protocol import ModelInfo
from pytest_lmeval.baselines.extension import baseline_assertion, check_baseline
from pytest_lmeval.baselines.location import baseline_key, baseline_path
from pytest_lmeval.baselines.record import from_result
from pytest_lmeval.check import Judged
from pytest_lmeval.collection import TaskItem
from pytest_lmeval.errors import BaselineError
from pytest_lmeval.gate.explain import explain
from pytest_lmeval.gate.policy import ModelPolicy, parse_gate
from pytest_lmeval.gate.verdict import Verdict, judge
from pytest_lmeval.marks import marked_task
from pytest_lmeval.report.rows import report_row
from pytest_lmeval.results import TaskResult
from pytest_lmeval.runner import Runner
from pytest_lmeval.state import ROWS, SETTINGS
from pytest_lmeval.tasks.groups import Group
from pytest_lmeval.xdist import command_line

_PACKAGES = ("pytest-lmeval", "torch", "transformers", "datasets", "tokenizers")


def judge_item(request: pytest.FixtureRequest, result: TaskResult, runner: Runner) -> Judged:
    """Judge the result of a benchmark item or a marked test. Raises BaselineError where it cannot be judged."""
    item = request.node
    verdict = _with_baseline(request, item, result, runner) if isinstance(item, TaskItem) else _marked(item, result)
    add_row(item, result, verdict)
    text = explain(verdict, result, command=command_line(item.config))
    if verdict.is_error:
        raise BaselineError(text)
    return Judged(passed=verdict.passed, explanation=text)


def add_row(item: pytest.Item, result: TaskResult, verdict: Verdict | None = None) -> None:
    """Put the result into the report. Without a verdict the test's own outcome is the verdict."""
    settings = item.config.stash[SETTINGS]
    judged = verdict or judge(result, ModelPolicy(), None, require_baseline=False)
    row = report_row(result, judged, nodeid=item.nodeid, model=str(settings.model))
    item.stash.setdefault(ROWS, []).append(row.to_json() | ({} if verdict else {"verdict": "test", "reason": ""}))
    for name, value in _properties(result, judged).items():
        item.user_properties.append((f"lm.{name}", value))


def _with_baseline(request: pytest.FixtureRequest, item: TaskItem, result: TaskResult, runner: Runner) -> Verdict:
    settings = item.config.stash[SETTINGS]
    key = settings.baseline or baseline_key(str(settings.model))
    item.lm_baseline_path = baseline_path(settings.baseline_dir, key, result.task)
    gate = item.target.spec.gate if isinstance(item.target, Group) else item.target.gate
    return check_baseline(
        baseline_assertion(request, settings.update_baseline),
        result,
        from_result(result, _model(runner.info), environment(), datetime.date.today().isoformat()),
        parse_gate(gate).for_model(str(settings.model)),
        require_baseline=settings.require_baseline and not settings.update_baseline,
    )


def _marked(item: pytest.Item, result: TaskResult) -> Verdict:
    """A Python test has thresholds and no baseline: two tests may ask one task in different ways."""
    marked = marked_task(item)
    assert marked is not None
    policy = parse_gate(marked.gate).for_model(str(item.config.stash[SETTINGS].model))
    return judge(result, dataclasses.replace(policy, compare=type(policy.compare).OFF), None, require_baseline=False)


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
