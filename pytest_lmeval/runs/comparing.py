"""One recorded run judged by another: as if the other were its baseline."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pytest_lmeval.baselines.record import Baseline, from_result
from pytest_lmeval.errors import RunError
from pytest_lmeval.gate.comparison import Context
from pytest_lmeval.gate.explain import explain
from pytest_lmeval.gate.policy import ModelPolicy
from pytest_lmeval.gate.settings import Layer
from pytest_lmeval.gate.suite import judge_suite
from pytest_lmeval.gate.verdict import judge
from pytest_lmeval.report.rows import ReportRow, report_row
from pytest_lmeval.runs.folder import write_samples
from pytest_lmeval.runs.run import Run
from pytest_lmeval.runs.tasks import TaskRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """``run`` is the newer run with the verdicts of the comparison. The tasks of only one run are named."""

    run: Run
    only_then: tuple[str, ...]
    only_now: tuple[str, ...]


def compare_runs(then: Run, now: Run, layers: Sequence[Layer], folder: Path, *, seed: int = 0) -> Compared:
    """Judge the tasks of ``now`` by those of ``then``, and both runs as a whole. Raises RunError.

    ``layers`` are the gate's settings; what the task files set is not known any more. Groups are left to their tasks.
    The documents of the comparison are written below ``folder``, where reports of it find them.
    """
    shared = [row for row in now.rows if row.samples is not None and _twin(row, then) is not None]
    if not shared:
        raise RunError(f"{then.facts.id} and {now.facts.id} have no task in common whose documents were kept")
    rows = tuple(_judged(row, then, now, ModelPolicy(layers=tuple(layers)), len(shared), folder) for row in shared)
    facts = replace(now.facts, against=f"run {then.facts.id} of {then.facts.model}", exit_status=0)
    suite = judge_suite([finding.tested for row in rows for finding in row.findings], seed=seed)
    run = Run(facts=facts, rows=rows, suite=suite, folder=folder)
    return Compared(
        run=replace(run, facts=replace(facts, exit_status=int(run.failed))),
        only_then=tuple(_names(then, now)),
        only_now=tuple(_names(now, then)),
    )


def _judged(row: ReportRow, then: Run, now: Run, policy: ModelPolicy, family: int, folder: Path) -> ReportRow:
    twin = _twin(row, then)
    new, old = now.record(row), None if twin is None else then.record(twin)
    assert new is not None
    assert old is not None
    context = Context(family=family, model=_info(now))
    verdict = judge(new.result, policy, _baseline(old, then), require_baseline=True, context=context)
    pairs = verdict.comparison.pairs if verdict.comparison is not None else ()
    told = explain(verdict, new.result, recordable=False, command=())
    judged = report_row(new.result, verdict, nodeid=row.nodeid, model=now.facts.model, rules=policy.settings)
    judged = replace(judged, file=row.file, line=row.line, samples=row.samples, explanation=told)
    found = MappingProxyType({pair.now.index: pair.then for pair in pairs})
    write_samples(folder, TaskRecord(row=judged, result=new.result, then=found))
    return judged


def _twin(row: ReportRow, other: Run) -> ReportRow | None:
    """Find the row of the same task: that of the same item where several items ask it."""
    same = [each for each in other.rows if each.task == row.task and each.samples is not None]
    return next((each for each in same if each.nodeid == row.nodeid), same[0] if same else None)


def _names(one: Run, other: Run) -> Iterator[str]:
    yield from sorted({row.task for row in one.rows} - {row.task for row in other.rows})


def _baseline(record: TaskRecord, run: Run) -> Baseline:
    created = time.strftime("%Y-%m-%d", time.gmtime(run.facts.started))
    commit = run.facts.origin.commit
    return from_result(
        record.result, _info(run) or {}, run.facts.environment, created, commit=None if commit is None else commit[:12]
    )


def _info(run: Run) -> Mapping[str, Any] | None:
    return None if run.facts.answered is None else run.facts.answered.info
