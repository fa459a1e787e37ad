"""The benchmarks that come with the package, asked for by name."""

from __future__ import annotations

import pytest

from .conftest import Run
from .project import Project, text_of

FACTS, COMPLETION = "lmeval/demo_facts.yaml::demo_facts", "lmeval/demo_completion.yaml::demo_completion"


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("demo_facts", [FACTS]),
        ("demo_facts,demo_completion", [FACTS, COMPLETION]),
        ("demo_*", [COMPLETION, FACTS]),
        ("demo", [COMPLETION, FACTS]),
        ("demo_facts demo", [FACTS, COMPLETION]),
    ],
    ids=["name", "names", "pattern", "tag", "both"],
)
def test_names_patterns_and_tags(project: Project, names: str, expected: list[str]) -> None:
    assert project.collect("--lm-model=fake", f"--lm-tasks={names}") == expected


def test_groups(project: Project) -> None:
    items = project.collect("--lm-model=fake", "--lm-tasks=mmlu")
    assert len(items) > 57
    assert items[-1] == "lmeval/mmlu.yaml::mmlu"
    assert all(item.startswith("lmeval/mmlu.yaml::mmlu") for item in items)


def test_they_run_from_an_empty_project(project: Project, run: Run) -> None:
    result = run("--lm-model=fake", "--lm-tasks=demo_facts", "--lm-limit=5", "-rA", "--lm-update-baseline")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([f"PASSED {FACTS}"])
    assert list(project.baselines()) == ["fake/demo_facts.json"]


def test_they_stand_beside_the_projects_own(project: Project) -> None:
    project.choice_task("rivers")
    rivers = "tasks/rivers.yaml::rivers"
    assert project.collect("--lm-model=fake", "--lm-tasks=demo_facts") == [rivers, FACTS]
    assert project.collect("--lm-model=fake", "--lm-tasks=demo_facts", "-k", "facts") == [FACTS]
    assert project.collect("--lm-model=fake", "--lm-tasks=demo_facts", "-m", "demo") == [FACTS]


def test_a_task_of_the_projects_is_not_added_again(project: Project) -> None:
    project.choice_task("demo_facts")
    own = "tasks/demo_facts.yaml::demo_facts"
    assert project.collect("--lm-model=fake", "--lm-tasks=demo_facts") == [own]
    assert project.collect("--lm-model=fake", "--lm-tasks=demo_facts", "tasks/demo_facts.yaml") == [own]
    project.python("def test_own(): pass")
    # By its name it is added to a part of the project too.
    assert project.collect("--lm-model=fake", "--lm-tasks=demo_facts", "test_own.py") == [
        "test_own.py::test_own",
        own,
    ]


def test_failed_ones_run_again(project: Project) -> None:
    arguments = ("--lm-model=fake,fail_every=2", "--lm-tasks=demo", "--lm-limit=5")
    project.run(*arguments).assert_outcomes(errors=2)
    assert project.collect("--lm-model=fake", "--lm-tasks=demo", "--lf") == [COMPLETION, FACTS]


def test_an_unknown_name_is_a_usage_error_with_a_hint(project: Project) -> None:
    result = project.run("--lm-model=fake", "--lm-tasks=demo_fcats")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: no task, group or tag is called 'demo_fcats'. Did you mean demo_facts*?"])
    assert "Traceback" not in text_of(result)


def test_an_unknown_name_on_workers(project: Project) -> None:
    result = project.run("--lm-model=fake", "--lm-tasks=demo_fcats", "-n", "2")
    assert result.ret not in (0, pytest.ExitCode.INTERNAL_ERROR)
    result.stdout.fnmatch_lines(["no task, group or tag is called 'demo_fcats'. Did you mean demo_facts*?"])
