"""From a test item to a task's result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from pytest_lmeval.collection import TaskItem
from pytest_lmeval.errors import SettingsError
from pytest_lmeval.gate.detection import Detection
from pytest_lmeval.judging import add_row, check_baseline_file, check_errors
from pytest_lmeval.marks import find_task, marked_task, override
from pytest_lmeval.results import TaskResult
from pytest_lmeval.runner import Runner
from pytest_lmeval.scores import EvaluationResult
from pytest_lmeval.state import CATALOGUE, DETECTION, SETTINGS
from pytest_lmeval.stopping import watch_of
from pytest_lmeval.tasks.groups import Group
from pytest_lmeval.tasks.options import EvaluationOptions
from pytest_lmeval.tasks.spec import TaskSpec
from pytest_lmeval.watching import Watch
from pytest_lmeval.xdist import scope_of

_KEYWORDS = ("limit", "num_fewshot", "gen_kwargs", "seed")


def evaluate_item(item: pytest.Item, runner: Runner) -> TaskResult:
    """Evaluate the task of a benchmark item or of a marked test."""
    if isinstance(item, TaskItem):
        check_baseline_file(item)
        result = _evaluate(item, runner, item.target, item.config.stash[SETTINGS].evaluation, watch_of(item))
        return item.config.stash.get(DETECTION, Detection()).told(result)
    marked = marked_task(item)
    if marked is None:
        raise SettingsError('lm_result: this test names no task; mark it with @pytest.mark.lmeval("task")')
    return _evaluate(item, runner, marked.target, marked.options)


def evaluate_named(
    request: pytest.FixtureRequest, runner: Runner, task: str, changes: Mapping[str, Any]
) -> EvaluationResult:
    """Evaluate a task by name for ``lm_evaluate`` and put it into the report."""
    unknown = [key for key in changes if key not in _KEYWORDS]
    if unknown:
        raise SettingsError(f"lm_evaluate: unknown keyword {unknown[0]!r}. Known: {', '.join(_KEYWORDS)}")
    config = request.config
    options = override(config.stash[SETTINGS].evaluation, **changes)
    result = _evaluate(request.node, runner, find_task(config.stash[CATALOGUE], task), options)
    check_errors(request.node, result)
    add_row(request.node, result)
    return EvaluationResult(result)


def _evaluate(
    item: pytest.Item,
    runner: Runner,
    target: TaskSpec | Group,
    options: EvaluationOptions,
    watch: Watch | None = None,
) -> TaskResult:
    scope = scope_of(item)
    if isinstance(target, Group):
        return runner.evaluate_group(target, options, scope, watch)
    return runner.evaluate(target, options, scope, watch)
