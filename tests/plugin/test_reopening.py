"""A recorded run is shown again as it was."""

from __future__ import annotations

import pytest

from .project import Project


def test_a_run_is_shown_as_it_was(project: Project) -> None:
    project.everything()
    project.choice_task("rivers", extra="gate: {acc: {min: 0.9}}\n")
    project.run("--lm-model=pupil", "--lm-update-baseline")
    first = project.run("--lm-model=pupil,knows=2", "--lm-baseline=pupil", "--lm-report=json:first.json")
    project.asked()
    again = project.run("--lm-from-run=last", "--lm-report=json:again.json")
    assert first.ret == again.ret == pytest.ExitCode.TESTS_FAILED
    assert project.read("again.json") == project.read("first.json")
    # The same table, line by line, and nothing is asked.
    start = next(at for at, line in enumerate(first.stdout.lines) if line.startswith("task "))
    rows = first.stdout.lines[start : start + 7]
    assert [line for line in again.stdout.lines if line in rows] == rows
    assert project.asked() == []


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--lm-from-run=last"], "ERROR: last: no recorded runs in *"),
        (["--lm-from-run=last", "--lm-model=fake"], "ERROR: --lm-from-run=last and --lm-model=fake: *"),
    ],
)
def test_mistakes(project: Project, arguments: list[str], problem: str) -> None:
    run = project.run(*arguments)
    assert run.ret == pytest.ExitCode.USAGE_ERROR
    run.stderr.fnmatch_lines([problem])
