"""Workers: the same results as without, each question asked once, each file on one worker."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_lmeval.xdist import SchedulerPlugin, scope_of, work_unit

from .project import ALL_ITEMS, Project

# Our scheduler, one of xdist's that keeps files whole, and one that tears them. Of the others it is enough to know
# which of the two they do.
DISTRIBUTIONS = ("load", "loadscope", "worksteal")


@pytest.mark.parametrize(
    ("nodeid", "unit"),
    [
        ("tasks/rivers.yaml::rivers", "tasks/rivers.yaml"),
        ("tasks/rivers.yml::waters::lakes", "tasks/rivers.yml"),
        ("lmeval/demo_facts.yaml::demo_facts", "lmeval/demo_facts.yaml"),
        ("test_a.py::test_b", "test_a.py::test_b"),
        ("test_a.py::TestC::test_b[x.yaml::y]", "test_a.py::TestC::test_b[x.yaml::y]"),
    ],
)
def test_work_units(nodeid: str, unit: str) -> None:
    assert work_unit(nodeid) == unit


@pytest.mark.parametrize(
    ("distribution", "scope"),
    [
        ("load", "tasks/rivers.yaml"),
        ("loadfile", "tasks/rivers.yaml"),
        ("loadscope", "tasks/rivers.yaml"),
        ("worksteal", "tasks/rivers.yaml::rivers"),
        ("loadgroup", "tasks/rivers.yaml::rivers"),
    ],
)
def test_a_worker_knows_whether_files_stay_whole(distribution: str, scope: str) -> None:
    config = SimpleNamespace(
        getoption={"dist": distribution}.get,
        invocation_params=SimpleNamespace(args=()),
        option=SimpleNamespace(file_or_dir=()),
    )
    node = SimpleNamespace(config=config, workerinput={})
    SchedulerPlugin().pytest_configure_node(node)
    item = SimpleNamespace(config=node, nodeid="tasks/rivers.yaml::rivers")
    assert scope_of(item) == scope  # type: ignore[arg-type]


def rows_of(project: Project) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = project.report()["results"]
    for row in rows:
        row.pop("seconds")
        # It repeats the command, which is another one here.
        row.pop("explanation")
    return rows


@pytest.fixture
def serial(project: Project) -> list[dict[str, Any]]:
    """The rows of a run without workers."""
    project.everything()
    project.run("--lm-model=pupil,knows=3", "--lm-report=json:report.json").assert_outcomes(passed=5)
    project.asked()
    return rows_of(project)


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_results_are_those_of_a_serial_run(project: Project, serial: list[dict[str, Any]], distribution: str) -> None:
    args = ("-n", "2", f"--dist={distribution}", "--lm-report=json:report.json")
    project.run("--lm-model=pupil,knows=3", *args).assert_outcomes(passed=5)
    assert rows_of(project) == serial
    asked = [asked for asked in project.asked() if "|" in asked.text]
    counts = Counter(asked.text for asked in asked)
    assert len(counts) == 2 * (10 + 4 + 4) + 6
    if distribution in ("load", "loadscope"):
        assert set(counts.values()) == {1}
        processes = {asked.process for asked in asked if "lakes" in asked.text or "seas" in asked.text}
        assert len(processes) == 1
    # Else the leaves and their aggregate may be on two workers: then each asks for itself, and nothing ahead.
    assert all(count == 1 for text, count in counts.items() if "lakes" not in text and "seas" not in text)


def test_torn_files_are_not_asked_ahead(project: Project) -> None:
    project.group((20, 20))
    project.write("tasks/waters/waters.yaml", "group: waters\ntask: [lakes, seas]\n")
    project.run("--lm-model=pupil", "-n", "2", "--dist=loadgroup").assert_outcomes(passed=2)
    counts = Counter(asked.text for asked in project.asked() if "|" in asked.text)
    assert set(counts.values()) == {1}


def test_a_worker_opens_the_model_only_for_work(project: Project) -> None:
    project.choice_task("rivers")
    project.run("--lm-model=pupil", "-n", "2").assert_outcomes(passed=1)
    assert Counter(asked.text for asked in project.asked() if "|" not in asked.text) == {
        "open": 1,
        "stream": 1,
        "close": 1,
    }


def test_without_workers_the_plugin_stands_aside(project: Project) -> None:
    project.everything()
    assert tuple(project.collect("--lm-model=fake", "-n", "0")) == ALL_ITEMS
    project.run("--lm-model=fake", "-n", "0").assert_outcomes(passed=5)
