"""Made-up runs, as a report is made of them; their documents lie in a folder."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pytest_lmeval.baselines.record import Baseline, from_result
from pytest_lmeval.gate.comparison import Context
from pytest_lmeval.gate.explain import explain
from pytest_lmeval.gate.policy import ModelPolicy
from pytest_lmeval.gate.suite import judge_suite
from pytest_lmeval.gate.verdict import judge
from pytest_lmeval.model_facts import ModelFacts
from pytest_lmeval.report.rows import report_row
from pytest_lmeval.results import Flaw, ItemResult, MetricValue, TaskResult, TaskSettings
from pytest_lmeval.runs.folder import samples_name, write_run, write_samples
from pytest_lmeval.runs.origin import Origin
from pytest_lmeval.runs.run import Run, RunFacts
from pytest_lmeval.runs.tasks import TaskRecord

ID = "20260802-101500-ab12"
INFO: dict[str, Any] = {
    "backend": "fake",
    "name": "fake",
    "revision": None,
    "dtype": "float32",
    "max_length": 256,
    "details": {},
}


def run_facts(**changes: Any) -> RunFacts:
    """What is known of a made-up run."""
    facts = RunFacts(
        id=ID,
        model="demo",
        answered=ModelFacts(INFO),
        against="baselines in demo",
        started=1_785_665_700.0,
        seconds=61.5,
        exit_status=1,
        options={"limit": None, "seed": 1234},
        command=("pytest", "--lm-model=demo"),
        environment={"python": "3.11.7", "torch": "2.13.0"},
        origin=Origin(commit="91ab3f0" * 5, branch="main"),
    )
    return replace(facts, **changes)


def choice_item(index: int, *, right: bool, **changes: Any) -> ItemResult:
    """A document with two choices, of which the first is right."""
    logprobs = (-1.0, -2.5 - index / 100) if right else (-3.0 - index / 100, -0.5)
    item = ItemResult(
        index=index,
        document_hash=f"{index:064x}",
        prompt_hash=f"{index + 1:064x}",
        target_hash=f"{index % 7:064x}",
        scores={"acc": float(right)},
        margin=logprobs[0] - logprobs[1],
        prompt=f"Question: which way does river {index} flow?\nAnswer:",
        examples="Answer with a direction.\n\nQuestion: which way does the Nile flow?\nAnswer: north\n\n",
        target="north",
        answer="north" if right else "south",
        choice=0 if right else 1,
        choices=("north", "south"),
        logprobs=logprobs,
        facets={"subject": "geography" if index % 3 else "history", "prompt length": "short"},
    )
    return replace(item, **changes)


def text_item(index: int, *, right: bool, **changes: Any) -> ItemResult:
    """A document whose answer is written."""
    item = ItemResult(
        index=index,
        document_hash=f"{index + 5000:064x}",
        prompt_hash=f"{index + 6000:064x}",
        target_hash=f"{index:064x}",
        scores={"exact_match,strict-match": float(right)},
        margin=None,
        prompt=f"Question: what is {index} plus one?\nAnswer:",
        target=str(index + 1),
        answer=f"It is {index + 1}.\n#### {index + 1}" if right else f"It is {index + 2}, I think.",
        extracted=str(index + 1) if right else "[invalid]",
        flaw=None if right else Flaw.NOT_EXTRACTED,
    )
    return replace(item, **changes)


def result_of(task: str, items: Sequence[ItemResult], metric: tuple[str, str] = ("acc", "none")) -> TaskResult:
    """Score made-up documents by the mean of one metric."""
    name, filter_name = metric
    key = name if filter_name == "none" else f"{name},{filter_name}"
    values = [item.scores[key] for item in items if key in item.scores]
    mean = sum(values) / len(values)
    stderr = math.sqrt(mean * (1 - mean) / max(1, len(values) - 1))
    value = MetricValue(name=name, filter=filter_name, value=mean, stderr=stderr, higher_is_better=True, n=len(values))
    settings = TaskSettings(
        dataset="made/up",
        dataset_config=None,
        split="test",
        num_fewshot=1,
        seed=1234,
        limit=None,
        output_type="multiple_choice" if name == "acc" else "generate_until",
        generation=None,
        task_hash="0123456789abcdef",
    )
    return TaskResult(
        task=task,
        n=len(items),
        total=len(items),
        metrics=(value,),
        main_metric=key,
        items=tuple(items),
        settings=settings,
        tokens=100 * len(items),
        seconds=1.5,
    )


def baseline_from(result: TaskResult) -> Baseline:
    """The baseline that a result would be recorded as."""
    return from_result(result, INFO, {"python": "3.11.7"}, "2026-08-01", commit="0a1b2c3")


def record_of(result: TaskResult, baseline: Baseline | None, nodeid: str = "") -> TaskRecord:
    """Judge a result as a run does."""
    policy = ModelPolicy()
    verdict = judge(result, policy, baseline, require_baseline=False, context=Context(model=INFO))
    nodeid = nodeid or f"tasks/{result.task}.yaml::{result.task}"
    row = report_row(result, verdict, nodeid=nodeid, model="demo", rules=policy.settings)
    file = nodeid.split("::")[0]
    told = explain(verdict, result)
    row = replace(row, file=file, line=1, explanation=told, samples=samples_name(nodeid, result.task))
    pairs = verdict.comparison.pairs if verdict.comparison else ()
    return TaskRecord(row=row, result=result, then=MappingProxyType({pair.now.index: pair.then for pair in pairs}))


def write_made_run(folder: Path, records: Sequence[TaskRecord], **facts: Any) -> Run:
    """Write a run of these records into ``folder``."""
    rows = tuple(record.row for record in records)
    suite = judge_suite([finding.tested for row in rows for finding in row.findings])
    run = Run(facts=run_facts(id=folder.name, **facts), rows=rows, suite=suite, folder=folder)
    for record in records:
        write_samples(folder, record)
    write_run(folder, run)
    return run


def made_run(folder: Path, n: int = 60, lost: int = 20) -> Run:
    """A run of three tasks: one that lost ``lost`` of ``n`` documents, one that is as it was, and one without past."""
    then = result_of("rivers", [choice_item(index, right=True) for index in range(n)])
    now = result_of("rivers", [choice_item(index, right=index >= lost) for index in range(n)])
    sums = ("exact_match", "strict-match")
    same = result_of("sums", [text_item(index, right=index % 4 > 0) for index in range(n)], sums)
    new = result_of("lakes", [choice_item(index, right=index % 2 > 0) for index in range(n)])
    records = (record_of(now, baseline_from(then)), record_of(same, baseline_from(same)), record_of(new, None))
    return write_made_run(folder, records)
