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


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ((FACTS,), [FACTS]),
        # As for any test, who names one means that one.
        ((FACTS, "--lm-tasks=demo"), [FACTS]),
        ((COMPLETION, FACTS, "test_own.py"), ["test_own.py::test_own", COMPLETION, FACTS]),
        (("lmeval/demo_facts.yaml",), [FACTS]),
        (("lmeval/mmlu.yaml::mmlu_anatomy",), ["lmeval/mmlu.yaml::mmlu_anatomy"]),
    ],
    ids=["task", "of-several", "with-others", "file", "leaf"],
)
def test_node_ids_as_reports_spell_them(project: Project, args: tuple[str, ...], expected: list[str]) -> None:
    project.python("def test_own(): pass")
    assert project.collect("--lm-model=fake", *args) == expected


def test_a_node_id_runs(project: Project, run: Run) -> None:
    run("--lm-model=fake", "--lm-limit=5", FACTS).assert_outcomes(passed=1)


@pytest.mark.parametrize("node_id", ["lmeval/demo_facts.yaml::demo_fcats", "lmeval/demo_fcats.yaml"])
def test_an_unknown_node_id(project: Project, node_id: str) -> None:
    result = project.run("--lm-model=fake", node_id)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: *not found: {node_id}*"])


def test_a_folder_of_that_name_is_the_projects_own(project: Project) -> None:
    project.choice_task("demo_facts", folder="lmeval")
    item = "lmeval/demo_facts.yaml::demo_facts"
    assert project.collect("--lm-model=fake", "lmeval/demo_facts.yaml::demo_facts") == [item]
    project.run("--lm-model=pupil,knows=3", item, "--lm-report=json:report.json")
    assert project.report()["results"][0]["total"] == 10


def test_an_unknown_name_is_a_usage_error_with_a_hint(project: Project) -> None:
    result = project.run("--lm-model=fake", "--lm-tasks=demo_fcats")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: --lm-tasks=demo_fcats: no task, group or tag is called 'demo_fcats'. Did you mean demo_f*"]
    )
    assert "Traceback" not in text_of(result)


def test_an_unknown_name_on_workers(project: Project) -> None:
    result = project.run("--lm-model=fake", "--lm-tasks=demo_fcats", "-n", "2")
    assert result.ret not in (0, pytest.ExitCode.INTERNAL_ERROR)
    result.stdout.fnmatch_lines(
        ["--lm-tasks=demo_fcats: no task, group or tag is called 'demo_fcats'. Did you mean demo_f*"]
    )
