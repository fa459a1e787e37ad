"""From a result to the item's verdict, its baseline file, its properties and its row in the report."""

from __future__ import annotations

import datetime
import platform
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from importlib.metadata import PackageNotFoundError, version
from types import MappingProxyType
from typing import Any

import pytest

from pytest_lmeval.baseline_sources import (
    baseline_of,
    is_compared,
    is_stored,
    missing_folder,
    stored_path,
    why_missing,
)
from pytest_lmeval.baselines.extension import baseline_assertion, check_baseline
from pytest_lmeval.baselines.provenance import commit_of
from pytest_lmeval.baselines.record import Baseline, from_result
from pytest_lmeval.baselines.update import Update
from pytest_lmeval.calibrating import Calibration, calibration_of
from pytest_lmeval.check import Judged
from pytest_lmeval.collection import TaskItem, describe, document_of, policy_of
from pytest_lmeval.commands import command_for
from pytest_lmeval.errors import BackendError, BaselineError, LMEvalError
from pytest_lmeval.family import Family
from pytest_lmeval.gate.comparison import Context
from pytest_lmeval.gate.explain import explain, explain_briefly
from pytest_lmeval.gate.missing import too_many_errors
from pytest_lmeval.gate.monitor import StopKind
from pytest_lmeval.gate.policy import GatePolicy, GateSyntaxError, ModelPolicy
from pytest_lmeval.gate.settings import Layer, Mode
from pytest_lmeval.gate.verdict import Status, Verdict, judge, judge_group, reported_only
from pytest_lmeval.junit import properties
from pytest_lmeval.marks import marked_task
from pytest_lmeval.options import Stored
from pytest_lmeval.recording import keep_documents
from pytest_lmeval.report.rows import report_row
from pytest_lmeval.results import TaskResult
from pytest_lmeval.runner import Runner
from pytest_lmeval.state import FAMILY, ROWS, RUNNER, SETTINGS
from pytest_lmeval.stopping import monitor_of, stop_of
from pytest_lmeval.tasks.groups import Group

#: Characters of an explanation that a report keeps.
_MOST_TOLD = 20_000
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
    verbosity = item.config.get_verbosity()
    text = explain(
        verdict,
        result,
        command=command_for(item),
        verbosity=max(0, verbosity),
        recordable=isinstance(item, TaskItem) and is_stored(item),
        updating=item.config.stash[SETTINGS].baseline.update in (Update.CHANGED, Update.ALL),
    )
    add_row(item, result, verdict, explanation=text)
    # Reports that are looked at later have all of it.
    shown = text if verbosity >= 0 else explain_briefly(verdict, result, command=command_for(item))
    if verdict.is_error:
        raise (BackendError if verdict.status is Status.ERROR else BaselineError)(shown)
    return Judged(passed=verdict.passed, explanation=shown)


def check_errors(item: pytest.Item, result: TaskResult) -> None:
    """Raise BackendError, and show the result as an error, of a broken model or where too much was not answered."""
    stop = stop_of(item, result.task)
    told: str | None
    if stop is not None and stop.kind is StopKind.BROKEN:
        told = f"{result.task}: stopped {stop}"
    elif result.stopped is not None and result.members:
        # Nothing else stops a task of a group that is asked for, and of a part of its documents the group says nothing.
        told = f"{result.task}: not measured, for its tasks were stopped. {result.stopped}"
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
    explanation: str = "",
) -> None:
    """Put the result into the report, and its documents into the run's folder.

    Without a verdict ``changes`` say what to show, else the test's own outcome.
    """
    settings = item.config.stash[SETTINGS]
    judged = verdict or judge(result, ModelPolicy(), None, require_baseline=False)
    row = report_row(
        result,
        judged,
        nodeid=item.nodeid,
        model=str(settings.model),
        rules=None if verdict is None else _policy(item).settings,
        leaf_of=_family(item).leaf_of.get(result.task),
    )
    file, line, _ = item.location
    row = replace(row, file=file, line=None if line is None else line + 1, explanation=explanation[:_MOST_TOLD])
    if verdict is None:
        row = replace(row, **changes)
    row = keep_documents(item.config, row, result, verdict)
    item.stash.setdefault(ROWS, []).append(row.to_json())
    answered = item.config.stash[RUNNER].facts
    model = answered.info if answered is not None else {}
    baseline = getattr(item, "lm_baseline_path", None)
    for name, value in properties(row, judged, result, model=model, baseline=baseline).items():
        item.user_properties.append((f"lm.{name}", value))


def _with_baseline(
    request: pytest.FixtureRequest,
    item: TaskItem,
    result: TaskResult,
    runner: Runner,
    calibration: Calibration | None,
) -> Verdict:
    settings = item.config.stash[SETTINGS].baseline
    context = _context(item, result, runner)

    def judged(baseline: Baseline | None) -> Verdict:
        verdict = _judged(item, result, baseline, context)
        lacking = missing_folder(item.config.stash[SETTINGS]) if verdict.status is Status.NO_BASELINE else ""
        return replace(verdict, reasons=(*verdict.reasons, lacking)) if lacking else verdict

    def candidate() -> Baseline:
        made = from_result(result, asdict(runner.info), environment(), datetime.date.today().isoformat())
        return replace(made, commit=commit_of(item.config.rootpath))

    try:
        if not is_compared(item):
            return judged(None)
        if not is_stored(item):
            return _with_other_source(item, judged)
        item.lm_baseline_path = stored_path(item)
        return check_baseline(
            baseline_assertion(request, settings.update is not None),
            result,
            candidate,
            judged,
            update=settings.update,
            accept_regression=settings.accept_regression,
            measure_noise=calibration,
        )
    except GateSyntaxError as error:
        raise document_of(item.target).error(str(error), "gate") from None


def _context(item: TaskItem, result: TaskResult, runner: Runner) -> Context:
    settings = item.config.stash[SETTINGS]
    monitor = monitor_of(item, result.task)
    return Context(
        family=_family(item).size,
        looks=monitor.p_value if monitor is not None and settings.gate.early_stop else None,
        stop=stop_of(item, result.task) if result.stopped is not None else None,
        model=asdict(runner.info),
        chosen=settings.baseline.against != Stored(),
        conversations=settings.evaluation.prompt.chat_template,
    )


def _judged(item: TaskItem, result: TaskResult, baseline: Baseline | None, context: Context) -> Verdict:
    settings = item.config.stash[SETTINGS].baseline
    required = settings.required and settings.update is None
    policy = policy_of(item)
    by_leaves = baseline is None or baseline.published is None
    if result.leaves and is_compared(item) and by_leaves:
        verdict = judge_group(result, policy, _leaf_baselines(item), require_baseline=required, context=context)
    else:
        verdict = judge(result, policy, baseline, require_baseline=required, context=context)
    group = _family(item).leaf_of.get(item.task_name)
    return verdict if group is None else reported_only(verdict, group)


def _leaf_baselines(item: TaskItem) -> dict[str, Baseline]:
    """The baselines of a group's tasks, where there are any."""
    assert isinstance(item.target, Group)
    found = {leaf.task: baseline_of(item, leaf) for leaf in item.target.leaves()}
    return {task: baseline for task, baseline in found.items() if baseline is not None}


def _with_other_source(item: TaskItem, judged: Callable[[Baseline | None], Verdict]) -> Verdict:
    """Judge by published scores or another model's answers, which no run writes."""
    baseline = baseline_of(item)
    verdict = judged(baseline)
    if baseline is None and verdict.status is Status.NO_BASELINE and (why := why_missing(item)):
        return replace(verdict, reasons=(why, *verdict.reasons[1:]))
    return verdict


def _marked(item: pytest.Item, result: TaskResult) -> Verdict:
    """A Python test has thresholds and no baseline: two tests may ask one task in different ways."""
    return judge(result, _policy(item).under([Layer(mode=Mode.OFF)]), None, require_baseline=False)


def _policy(item: pytest.Item) -> ModelPolicy:
    """The gate of the item's task, or of the task that its mark names, under the run's settings."""
    if isinstance(item, TaskItem):
        return policy_of(item)
    settings = item.config.stash[SETTINGS]
    marked = marked_task(item)
    gate = marked.gate if marked else GatePolicy()
    return gate.for_model(str(settings.model)).under(settings.gate.layers)


def _family(item: pytest.Item) -> Family:
    return item.config.stash.get(FAMILY, Family())


def environment() -> dict[str, str]:
    """What a baseline was recorded on: Python, platform and the versions of the packages that make the numbers."""
    found = {"python": platform.python_version(), "platform": f"{platform.system()}-{platform.machine()}"}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
