"""Whole runs against a file of published scores."""

from __future__ import annotations

import pytest

from .conftest import Run
from .project import Project

SCORES = 'source: "model card of X"\nscores: {rivers: {acc: 0.9}}\n'


def test_the_header_names_the_file(project: Project, run: Run) -> None:
    project.choice_task("rivers")
    project.write("scores.yaml", SCORES)
    result = run("--lm-model=pupil", "--lm-baseline=scores.yaml")
    result.stdout.fnmatch_lines(["lmeval: model pupil, against scores.yaml (published scores)*"])
    assert project.baselines() == {}


def test_a_task_that_the_file_lacks_has_no_baseline(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.choice_task("river")
    project.write("scores.yaml", SCORES)
    args = ("--lm-model=pupil", "--lm-baseline=scores.yaml")
    project.run(*args, "--lm-report=json:report.json").assert_outcomes(passed=1)
    (row,) = project.report()["results"]
    assert (row["verdict"], row["reason"]) == (
        "no-baseline",
        "scores.yaml has no scores for river. Did you mean 'rivers'?",
    )
    monkeypatch.setenv("CI", "true")
    result = project.run(*args)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*scores.yaml has no scores for river. Did you mean 'rivers'?"])


@pytest.mark.parametrize("way", [(), ("-n", "2")], ids=["serial", "workers"])
def test_a_file_that_cannot_be_used_ends_the_run_at_once(project: Project, way: tuple[str, ...]) -> None:
    project.choice_task("rivers")
    project.write("scores.yaml", "source: X\nscores: {rivers: {acc: high}}\n")
    result = project.run("--lm-model=pupil", "--lm-baseline=scores.yaml", *way)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *scores.yaml: scores.rivers.acc: expected a number, *found 'high'"])
    assert project.asked() == []


def test_nothing_is_recorded_to_it(project: Project) -> None:
    project.choice_task("rivers")
    project.write("scores.yaml", SCORES)
    result = project.run("--lm-model=pupil", "--lm-baseline=scores.yaml", "--lm-update-baseline")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*there is no file to record to with --lm-baseline=scores.yaml. *"])
    assert project.read("scores.yaml") == SCORES
