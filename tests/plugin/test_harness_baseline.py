"""``--lm-baseline`` with what lm-evaluation-harness wrote: verdicts, and what cannot be compared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from .conftest import Run
from .project import Project, question, text_of

DATE = "2026-08-02T10-15-00.250000"
TASK = "rivers"


def write_output(project: Project, right: int, count: int = 40, **changes: Any) -> Path:
    """Write what the harness would have of a model that knows the first ``right`` documents."""
    config = {
        "task": TASK,
        "dataset_path": "json",
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_choice": ["north", "south"],
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
        "repeats": 1,
    }
    results = {
        "results": {TASK: {"alias": TASK, "acc,none": right / count, "acc_stderr,none": 0.05}},
        "configs": {TASK: config},
        "versions": {TASK: "Yaml"},
        "n-shot": {TASK: 0},
        "n-samples": {TASK: {"original": count, "effective": count}},
        "config": {"model": "hf", "fewshot_seed": 1234},
        "model_name": "old",
        "date": 1785665700.25,
        **changes,
    }
    path = project.write(f"output/old/results_{DATE}.json", json.dumps(results, indent=2))
    project.data(f"output/old/samples_{TASK}_{DATE}.jsonl", [sample(at, right=at < right) for at in range(count)])
    return path


def sample(number: int, *, right: bool) -> dict[str, Any]:
    document = question(TASK, number)
    gold = document["answer"]
    logprobs = ["-1.0", "-2.0"] if (gold == 0) == right else ["-2.0", "-1.0"]
    answers = [[logprob, "False"] for logprob in logprobs]
    return {
        "doc_id": number,
        "doc": document,
        "target": str(gold),
        "arguments": {
            f"gen_args_{at}": {"arg_0": document["question"], "arg_1": f" {choice}"}
            for at, choice in enumerate(("north", "south"))
        },
        "resps": [[answer] for answer in answers],
        "filtered_resps": answers,
        "filter": "none",
        "metrics": ["acc"],
        "acc": float(right),
    }


def test_a_worse_model_fails(project: Project, run: Run) -> None:
    project.choice_task(TASK, range(40))
    results = write_output(project, right=36)
    run("--lm-model=pupil,knows=36", f"--lm-baseline={results}").assert_outcomes(passed=1)
    worse = run(
        "--lm-model=pupil,knows=10", "--lm-baseline=./output", "--lm-early-stop=false", "--lm-report=json:report.json"
    )
    worse.assert_outcomes(failed=1)
    (row,) = project.report()["results"]
    assert (row["verdict"], row["baseline"], row["value"]) == ("regressed", 0.9, 0.25)
    assert (row["flips_regressed"], row["flips_improved"]) == (26, 0)
    worse.stdout.fnmatch_lines(["lmeval: model pupil,knows=10, against output (lm-evaluation-harness)"])
    # Nothing can be accepted into somebody else's file.
    assert "accept it with" not in text_of(worse)


def test_what_cannot_be_compared_is_an_error(project: Project) -> None:
    project.choice_task(TASK, range(40))
    write_output(project, right=36, chat_template="{{ messages }}")
    talked = project.run("--lm-model=pupil", "--lm-baseline=./output")
    talked.assert_outcomes(errors=1)
    assert "rivers was asked in conversations" in text_of(talked)
    path = write_output(project, right=36)
    path.with_name(f"samples_{TASK}_{DATE}.jsonl").unlink()
    bare = project.run("--lm-model=pupil", "--lm-baseline=./output/old")
    bare.assert_outcomes(errors=1)
    assert "the documents of rivers were not logged" in text_of(bare)
    assert "run lm_eval with --log_samples" in text_of(bare)
    assert project.asked() == []


def test_a_task_that_is_not_in_it(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.choice_task(TASK, range(40))
    path = write_output(project, right=36)
    path.write_text(path.read_text(encoding="utf-8").replace(f'"{TASK}": {{', '"river": {'), encoding="utf-8")
    arguments = ("--lm-model=pupil", "--lm-baseline=./output", "--lm-report=json:report.json")
    project.run(*arguments).assert_outcomes(passed=1)
    (row,) = project.report()["results"]
    assert row["verdict"] == "no-baseline"
    assert "has no task rivers. Did you mean 'river'?" in row["reason"]
    monkeypatch.setenv("CI", "true")
    project.run(*arguments).assert_outcomes(errors=1)


def test_files_that_cannot_be_read_end_the_run(project: Project) -> None:
    project.choice_task(TASK)
    path = project.write(f"output/results_{DATE}.json", '{"results": {')
    told = project.run("--lm-model=fake", f"--lm-baseline={path}")
    assert told.ret == pytest.ExitCode.USAGE_ERROR
    told.stderr.fnmatch_lines([f"ERROR: {path}: not results of lm-evaluation-harness: *"])
    refused = project.run("--lm-model=fake", f"--lm-baseline={path}", "--lm-update-baseline")
    refused.stderr.fnmatch_lines(["ERROR: --lm-update-baseline: there is no file to record to with *"])
