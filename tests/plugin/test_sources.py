"""Where tasks come from: the project, the package and an installed lm-eval; and the list of them all."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_lmeval.tasks.index import names as names_module
from pytest_lmeval.tasks.index.folder import read_index
from pytest_lmeval.tasks.sources import lm_eval_tasks

from .project import CHOICE, Project, question

HEAVY = ("torch", "transformers", "datasets", "numpy", "jinja2", "pandas", "pyarrow", "lm_eval")


@pytest.fixture
def harness(project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A project, and an installed lm-eval of two tasks and a group that may not be imported."""
    project.write("site/lm_eval/__init__.py", "raise AssertionError('imported')")
    for name in ("brooks", "rivers"):
        project.data(f"site/lm_eval/tasks/data/{name}.jsonl", [question(name, number) for number in range(4)])
        project.write(f"site/lm_eval/tasks/{name}.yaml", CHOICE.format(name=name, tag="running_water"))
    aggregate = "aggregate_metric_list:\n  - {metric: acc}\n"
    project.write("site/lm_eval/tasks/all.yaml", f"group: all_water\ntask: [running_water, lakes]\n{aggregate}")
    monkeypatch.delitem(sys.modules, "lm_eval", raising=False)
    lm_eval_tasks.cache_clear()
    yield project
    lm_eval_tasks.cache_clear()


def test_a_task_of_the_harness_runs_by_its_name(harness: Project) -> None:
    result = harness.run("--lm-model=pupil", "--lm-tasks=brooks", "-rA")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["PASSED lmeval/brooks.yaml::brooks"])


def test_its_node_id_runs_it_again(harness: Project) -> None:
    for node_id in ("lmeval/brooks.yaml::brooks", "lmeval/brooks.yaml"):
        assert harness.collect("--lm-model=pupil", node_id) == ["lmeval/brooks.yaml::brooks"]


def test_the_projects_task_wins_over_the_harnesss(harness: Project) -> None:
    harness.choice_task("rivers")
    own = "tasks/rivers.yaml::rivers"
    assert harness.collect("--lm-model=pupil", "--lm-tasks=rivers") == [own]
    # In a group of the harness too, next to what only the harness or only the project has.
    harness.choice_task("lakes")
    items = harness.collect("--lm-model=pupil", "--lm-tasks=all_water")
    assert items == [f"lmeval/all.yaml::{name}" for name in ("brooks", "rivers", "lakes", "all_water")]


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        ("project builtin", []),
        ("project, ./site/lm_eval/tasks", ["site/lm_eval/tasks/brooks.yaml::brooks"]),
        ("lm_eval", ["lmeval/brooks.yaml::brooks"]),
    ],
)
def test_the_ini_file_says_where_to_look(harness: Project, sources: str, expected: list[str]) -> None:
    harness.write("pytest.ini", f"[pytest]\nlm_task_sources = {sources}\n")
    found = harness.collect("--lm-model=pupil", "--lm-tasks=brooks")
    assert found == expected


def test_a_source_that_is_not_there_is_a_usage_error(harness: Project) -> None:
    harness.write("pytest.ini", "[pytest]\nlm_task_sources = project buildin\n")
    result = harness.run("--lm-list")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: lm_task_sources: 'buildin' is none of project, builtin, lm_eval, and no folder in *"]
    )


def test_collecting_a_project_does_not_look_at_the_harness(harness: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    harness.everything()
    looked: list[Path] = []

    def recorded(folder: Path) -> object:
        looked.append(folder)
        return read_index(folder)

    monkeypatch.setattr(names_module, "read_index", recorded)
    assert len(harness.collect("--lm-model=pupil", "--lm-tasks=demo_facts")) == 6
    assert looked
    assert not [folder for folder in looked if folder.is_relative_to(harness.path / "site")]


def test_the_list_names_everything(harness: Project) -> None:
    harness.everything()
    result = harness.run("--lm-list")
    assert result.ret == pytest.ExitCode.OK
    rows = {line.split()[0]: line.split()[1:] for line in result.stdout.lines if line}
    tasks = harness.path / "tasks"
    assert rows["waters"] == ["group(2)", "project", str(tasks / "waters" / "waters.yaml")]
    assert rows["water"] == ["tag(2)", "project"]
    assert rows["rivers"] == ["multiple_choice", "project", str(tasks / "rivers.yaml")]
    assert rows["mmlu"][:2] == ["group(57)", "builtin"]
    assert rows["brooks"][:2] == ["multiple_choice", "lm_eval"]
    assert rows["all_water"][:2] == ["group(3)", "lm_eval"]
    # Nothing but the rows: no header, no summary, no colour.
    assert all(row[1] in ("project", "builtin", "lm_eval") for row in rows.values())
    assert "\x1b" not in result.stdout.str()


def test_the_list_of_a_pattern(harness: Project) -> None:
    harness.everything()
    result = harness.run("--lm-list=waters")
    assert [line.split()[0] for line in result.stdout.lines if line] == ["waters", "lakes", "seas"]


def test_a_pattern_without_a_match_is_a_usage_error(harness: Project) -> None:
    result = harness.run("--lm-list=brokos")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: --lm-list=brokos: no task, group or tag has this in its name. Did you mean brooks*?"]
    )


def test_the_list_imports_nothing_heavy_and_collects_nothing(harness: Project) -> None:
    harness.everything()
    harness.python("raise AssertionError('collected')")
    script = f"import pytest, sys; pytest.main(['--lm-list']); print(*(m for m in {HEAVY!r} if m in sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=harness.path, capture_output=True, text=True, check=True
    )
    assert result.stdout.splitlines()[-1] == ""
    assert "rivers" in result.stdout


def test_a_reader_that_has_seen_enough_ends_the_list(harness: Project) -> None:
    command = f"{sys.executable} -m pytest --lm-list | head -1"
    result = subprocess.run(["sh", "-c", command], cwd=harness.path, capture_output=True, text=True, check=True)
    assert len(result.stdout.splitlines()) == 1
    assert result.stderr == ""


def test_a_broken_file_is_no_reason_not_to_list(harness: Project) -> None:
    harness.choice_task("rivers")
    harness.write("tasks/broken.yaml", "task: [\n")
    assert harness.run("--lm-list=rivers").ret == pytest.ExitCode.OK
