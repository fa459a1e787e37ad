"""A run of lm-evaluation-harness as a recorded run."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from pytest_lmeval.errors import RunError
from pytest_lmeval.exchange.facts import environment_of, info_of
from pytest_lmeval.exchange.groups import group_result
from pytest_lmeval.exchange.owned import read_owned
from pytest_lmeval.exchange.results import HarnessResults
from pytest_lmeval.exchange.tasks import HarnessRun
from pytest_lmeval.gate.policy import ModelPolicy
from pytest_lmeval.gate.verdict import judge
from pytest_lmeval.model_facts import ModelFacts
from pytest_lmeval.report.rows import ReportRow, report_row
from pytest_lmeval.results import TaskResult
from pytest_lmeval.runs.folder import hide, new_id, samples_name, write_run, write_samples
from pytest_lmeval.runs.origin import Origin
from pytest_lmeval.runs.run import Run, RunFacts
from pytest_lmeval.runs.tasks import TaskRecord


def import_run(path: Path, runs: Path) -> Run:
    """Write what lm-evaluation-harness left at ``path`` as a run of its own into ``runs``. Raises RunError.

    It is named by the time at which it was made. What was exported here before comes back as it was.
    """
    harness = HarnessRun.open(path)
    if harness.results.own is not None:
        return read_owned(harness, runs)
    folder = runs / new_id(harness.results.date)
    try:
        rows = [_kept(folder, result, harness.results) for result in _results(harness)]
    except RunError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    run = Run(facts=_facts(folder.name, harness.results), rows=tuple(rows), suite=None, folder=folder)
    hide(runs)
    write_run(folder, run)
    return run


def _results(harness: HarnessRun) -> Iterator[TaskResult]:
    """Yield the tasks' results, then the groups'; the documents of one task at a time are in memory."""
    results: dict[str, TaskResult] = {}
    for name in harness.tasks:
        result = harness.result(name)
        yield result
        results[name] = replace(result, items=())
        del result
    for group in harness.results.tasks.values():
        leaves = [results[name] for name in group.members if name in results]
        found = group_result(group, leaves) if leaves else None
        if found is not None:
            yield found


def _kept(folder: Path, result: TaskResult, results: HarnessResults) -> ReportRow:
    """Write a task's documents, and return its row: passed, as nobody has judged it."""
    verdict = judge(result, ModelPolicy(), None, require_baseline=False)
    row = report_row(result, verdict, nodeid=f"lm-eval::{result.task}", model=model_of(results))
    row = replace(row, verdict="pass", reason="")
    if not result.items:
        return row
    row = replace(row, samples=samples_name(row.nodeid, row.task))
    write_samples(folder, TaskRecord(row=row, result=replace(result, leaves=())))
    return row


def model_of(results: HarnessResults) -> str:
    """Name the model as ``--lm-model`` does."""
    return f"{results.backend}:{results.model}"


def _facts(run_id: str, results: HarnessResults) -> RunFacts:
    return RunFacts(
        id=run_id,
        model=model_of(results),
        answered=ModelFacts(info_of(results)),
        against=None,
        started=results.date,
        seconds=results.seconds,
        exit_status=0,
        options=_options(results),
        command=(),
        environment=environment_of(results),
        origin=Origin(),
    )


def _options(results: HarnessResults) -> dict[str, Any]:
    return {
        "limit": results.limit,
        "seed": results.seed,
        "num_fewshot": None,
        "generation_kwargs": dict(results.generation_kwargs),
        "system": results.system,
        "chat_template": results.chat_template is not None,
        "fewshot_multiturn": None,
    }
