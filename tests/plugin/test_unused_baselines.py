"""Baselines of tasks that are gone: listed where that is certain, never deleted."""

from __future__ import annotations

import pytest

from .conftest import Run
from .project import Project, text_of

MODEL = "--lm-model=pupil"


@pytest.fixture
def recorded(project: Project) -> Project:
    """A project with two tasks, and two baselines of tasks that are gone."""
    for name in ("rivers", "lakes", "ponds", "fens"):
        project.choice_task(name, range(4))
    project.run(MODEL, "--lm-update-baseline").assert_outcomes(passed=4)
    for name in ("ponds", "fens"):
        (project.path / "tasks" / f"{name}.yaml").unlink()
    return project


LISTED = [
    "2 baselines belong to no task that can be found. Where the task is gone for good, delete its file:",
    "  baselines/pupil/fens.json",
    "  baselines/pupil/ponds.json",
]


def test_they_are_listed_and_kept(recorded: Project, run: Run) -> None:
    before = recorded.baselines()
    run(MODEL, "-v").stdout.fnmatch_lines(LISTED)
    run(MODEL, "--lm-update-baseline=all").stdout.fnmatch_lines(LISTED)
    assert recorded.baselines().keys() == before.keys()
    assert "no task that can be found" not in text_of(run(MODEL))


@pytest.mark.parametrize("args", [("-k", "rivers"), ("tasks/rivers.yaml",), ("-m", "nothing"), ("--deselect", "tasks")])
def test_what_is_not_selected_is_used(recorded: Project, args: tuple[str, ...]) -> None:
    result = recorded.run(MODEL, "-v", *args)
    result.stdout.fnmatch_lines(LISTED)
    assert "lakes.json" not in text_of(result)


def test_a_task_that_is_named_on_the_command_line_exists(recorded: Project) -> None:
    recorded.choice_task("ponds", range(4), folder="elsewhere")
    result = recorded.run(MODEL, "-v", "elsewhere/ponds.yaml")
    result.stdout.fnmatch_lines(["1 baseline belongs to no task*", "  baselines/pupil/fens.json"])
    assert "ponds.json" not in text_of(result)


def test_nothing_is_said_while_a_task_file_cannot_be_read(recorded: Project) -> None:
    recorded.write("tasks/broken.yaml", "task: [\n")
    assert "no task that can be found" not in text_of(recorded.run(MODEL, "-v"))


def test_another_folder_has_its_own(recorded: Project) -> None:
    (recorded.path / "baselines" / "pupil").rename(recorded.path / "baselines" / "main")
    assert "no task that can be found" not in text_of(recorded.run(MODEL, "-v"))
    result = recorded.run(MODEL, "-v", "--lm-baseline=main")
    result.stdout.fnmatch_lines(["2 baselines belong to no task*", "  baselines/main/fens.json"])


def test_a_long_list_is_cut(recorded: Project) -> None:
    text = recorded.baseline("ponds").read_text()
    for number in range(12):
        recorded.baseline(f"ponds{number:02}").write_text(text)
    result = recorded.run(MODEL, "-v", "-k", "rivers")
    result.stdout.fnmatch_lines(["14 baselines belong to no task*", "  and 4 more"])
