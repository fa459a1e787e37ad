"""What an export keeps of a run beside lm-evaluation-harness's own keys, so that it comes back as it was.

In the results file stands, under ``pytest_lmeval``, the run and what there is of each task, and in each sample its
item.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pytest_lmeval.baselines.plain import Fields
from pytest_lmeval.baselines.record import Baseline, from_result
from pytest_lmeval.errors import RunError
from pytest_lmeval.exchange.samples import OWN, read_samples
from pytest_lmeval.exchange.tasks import HarnessRun
from pytest_lmeval.report.rows import ReportRow
from pytest_lmeval.runs.folder import (
    ID,
    hide,
    new_id,
    run_from_json,
    run_to_json,
    samples_name,
    write_run,
    write_samples,
)
from pytest_lmeval.runs.run import Run
from pytest_lmeval.runs.tasks import TaskRecord, record_from_json


def own_to_json(run: Run, heads: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Reduce the run, with what there is of its tasks by their names in the export."""
    return {"run": run_to_json(run), "tasks": {name: dict(head) for name, head in heads.items()}}


def read_owned(harness: HarnessRun, runs: Path) -> Run:
    """Write an exported run into ``runs``, under its own id where that is free. Raises RunError."""
    run = _run(harness, runs)
    free = ID.fullmatch(run.facts.id) and not (runs / run.facts.id).exists()
    folder = runs / (run.facts.id if free else new_id(run.facts.started))
    # No path is made of what stands in the file.
    placed = replace(run, facts=replace(run.facts, id=folder.name), rows=tuple(map(_placed, run.rows)), folder=folder)
    for record in _records(harness):
        write_samples(folder, replace(record, row=_placed(record.row)))
    hide(runs)
    write_run(folder, placed)
    return placed


def owned_baseline(harness: HarnessRun, task: str) -> Baseline:
    """Return an exported task as a baseline. Raises RunError."""
    run = _run(harness, harness.output.results.parent)
    record = next((record for record in _records(harness, task)), None)
    if record is None:
        raise RunError(f"{harness.output.results}: the documents of {task} are not in it")
    info = run.facts.answered.info if run.facts.answered is not None else {}
    created = time.strftime("%Y-%m-%d", time.gmtime(run.facts.started))
    return from_result(record.result, info, run.facts.environment, created)


def _placed(row: ReportRow) -> ReportRow:
    return row if row.samples is None else replace(row, samples=samples_name(row.nodeid, row.task))


def _run(harness: HarnessRun, folder: Path) -> Run:
    path = harness.output.results
    try:
        return run_from_json(_own(harness).mapping("run"), folder)
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path}: {OWN}: {error}") from None


def _records(harness: HarnessRun, task: str | None = None) -> Iterator[TaskRecord]:
    """Yield the tasks with their documents, or only those called ``task``."""
    heads = _own(harness).mapping("tasks")
    for name, head in heads.items():
        if task is not None and (not isinstance(head, dict) or head.get("task") != task):
            continue
        path = harness.output.samples.get(name)
        if path is None:
            raise RunError(f"{harness.output.results}: the samples of {name} are not beside it")
        try:
            yield record_from_json(head, (sample.own for sample in read_samples(path)))
        except (ValueError, RecursionError) as error:
            raise RunError(f"{path}: {OWN}: {error}") from None


def _own(harness: HarnessRun) -> Fields:
    return Fields(harness.results.own, OWN)
