"""What a run leaves behind in its folder, also of xdist's workers."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_lmeval.runs.folder import read_run, run_folders
from pytest_lmeval.runs.run import Run

from .project import Project


def kept(project: Project) -> list[Run]:
    return [read_run(folder) for folder in run_folders(project.path / ".lmeval" / "runs")]


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "workers"])
def test_a_run_is_kept_with_its_documents(project: Project, workers: tuple[str, ...]) -> None:
    project.everything()
    project.run("--lm-model=pupil,knows=3", "--lm-update-baseline", *workers)
    project.run("--lm-model=pupil,knows=2", "--lm-baseline=pupil,knows=3", "--lm-report=json:report.json", *workers)
    first, second = kept(project)
    assert (first.facts.model, second.facts.model) == ("pupil,knows=3", "pupil,knows=2")
    records = {record.row.task: record for record in second.records()}
    rivers = records["rivers"]
    assert len(rivers.result.items) == len(rivers.pairs) == 10
    assert rivers.row.file == "tasks/rivers.yaml"
    assert rivers.row.line == 1
    assert rivers.row.explanation.startswith("rivers: ")
    assert all(len(item.logprobs) == 2 for item in rivers.result.items)
    # What other programs read is the same whether it was asked for or not.
    folder = Path(second.folder or "")
    assert (folder / "results.json").read_text() == project.read("report.json")
    assert (folder.parent / ".gitignore").read_text() == "*\n"


def test_of_so_many_runs(project: Project) -> None:
    project.choice_task("rivers")
    for _ in range(3):
        project.run("--lm-model=fake", "--lm-keep-runs=2")
    assert len(kept(project)) == 2
    project.run("--lm-model=fake", "--lm-keep-runs=0")
    assert len(kept(project)) == 2


def test_a_folder_that_cannot_be_written_fails_no_run(project: Project) -> None:
    project.choice_task("rivers")
    project.write(".lmeval/runs", "in the way")
    run = project.run("--lm-model=fake")
    run.assert_outcomes(passed=1)
    run.stdout.fnmatch_lines(["*rivers: its documents are not kept: *", "this run is not kept: *"])


HOOKS = """
def pytest_lmeval_task_finished(row):
    print("TASK", row.task, row.verdict)

def pytest_lmeval_run_finished(config, run):
    documents = sum(len(record.result.items) for record in run.records())
    print("RUN", len(run.rows), documents, config.rootpath.name != "")
    raise RuntimeError("out of paper")
"""


def test_hooks_are_told_of_tasks_and_of_the_run(project: Project) -> None:
    project.everything()
    project.write("conftest.py", HOOKS)
    for workers in ([], ["-n", "2"]):
        run = project.run("--lm-model=fake", "-s", *workers)
        run.assert_outcomes(passed=5)
        assert sum("TASK" in line for line in run.stdout.lines) == 5
        run.stdout.fnmatch_lines(["*RUN 5 24 True*", "pytest_lmeval_run_finished: RuntimeError: out of paper"])
    # Without a model they are known, and not called.
    assert "RUN" not in project.run().stdout.str()
