"""``--lm-plan`` and ``--lm-detect``: what a run would ask, and samples that show what they are to show."""

from __future__ import annotations

import json

import pytest

from pytest_lmeval.baselines.format import dumps

from ..unit.test_baseline_format import baseline, item, task
from .conftest import WAYS
from .project import Project, text_of

PLAN = "--lm-plan"
MODEL = "--lm-model=pupil"
# Enough to see a drop of 20 points where there is one task, at an error rate of 5 % and with 5 % flips.
LOOSE = ("--lm-alpha=0.05", "--lm-detect=20pp")


def cells(run: pytest.RunResult) -> dict[str, list[str]]:
    """The rows of the table by task."""
    lines = run.stdout.lines
    start = next(i for i, line in enumerate(lines) if line.startswith("task "))
    rows = [line.replace(" pp", "pp").split() for line in lines[start + 1 :] if ": " not in line]
    return {row[0]: row[1:] for row in rows if len(row) == 7 and "=" not in row[0]}


def asked_documents(project: Project) -> set[str]:
    return {asked.text.partition("|")[0] for asked in project.asked() if "|" in asked.text}


@pytest.mark.parametrize("way", WAYS)
def test_a_plan_asks_nothing(project: Project, way: str) -> None:
    project.everything()
    project.python("def test_own(lm): raise SystemExit(9)")
    run = project.run(*WAYS[way], MODEL, PLAN)
    assert run.ret == pytest.ExitCode.OK
    assert project.asked() == []
    rows = cells(run)
    assert list(rows) == ["rivers", "sums", "lakes", "seas", "waters"]
    assert rows["rivers"][:2] == ["10", "20"]
    # 26 and 6 characters for each of two answers, ten times.
    assert rows["rivers"][2] == "160"
    assert rows["sums"][:2] == ["6", "6"]
    # A group's documents are its members', so only its gate is told.
    assert rows["waters"][:4] == ["8", "-", "-", "-"]
    assert rows["lakes"][4:] == ["-", "-"]
    run.stdout.fnmatch_lines(
        [
            "lmeval: plan for model pupil; nothing is asked and no test runs",
            "4 tasks: 24 documents, 42 requests, about 3* tokens, time unknown: no earlier run of this model here",
            "and 1 test that may ask more: how much is seen when they run",
            "*no tests ran*",
        ]
    )


def test_selection_and_sizes_are_those_of_the_run(project: Project) -> None:
    project.everything()
    assert list(cells(project.run(MODEL, PLAN, "-m", "water"))) == ["lakes", "seas"]
    assert cells(project.run(MODEL, PLAN, "tasks/sums.yaml::sums", "--lm-limit=2"))["sums"][:2] == ["2/6", "2"]
    # Of the group alone its members are asked all the same.
    run = project.run(MODEL, PLAN, "tasks/waters/waters.yaml::waters")
    assert list(cells(run)) == ["waters"]
    run.stdout.fnmatch_lines(["2 tasks: 8 documents, 16 requests*"])


def test_marked_tests_are_planned_too(project: Project) -> None:
    project.everything()
    project.python('@pytest.mark.lmeval("rivers", limit=3)\ndef test_marked(): pass')
    rows = cells(project.run(MODEL, PLAN, "test_own.py"))
    assert rows == {"test_marked": ["3/10", "6", "46", "-", "-", "-"]}


def test_what_cannot_be_seen_is_said(project: Project) -> None:
    project.choice_task("rivers", range(200), extra="gate: {margin: 12pp, alpha: 0.05}\n")
    run = project.run(MODEL, PLAN)
    assert cells(run)["rivers"][4:] == ["3.9pp", "12.0pp"]
    assert "cannot see" not in text_of(run)
    run = project.run(MODEL, PLAN, "--lm-margin=1pp")
    assert "rivers: cannot see its margin of 1.0 points: needs 3,090 documents, has 200" in text_of(run)
    assert cells(project.run(MODEL, PLAN, "--lm-gate=off"))["rivers"][4:] == ["-", "-"]


def test_a_problem_of_a_task_is_a_line_and_the_others_are_planned(project: Project) -> None:
    project.everything()
    (project.path / "tasks/data/rivers.jsonl").unlink()
    run = project.run(MODEL, PLAN, "-n", "2")
    assert run.ret == pytest.ExitCode.TESTS_FAILED
    assert "rivers" not in cells(run)
    assert cells(run)["sums"][0] == "6"
    assert [line for line in run.stdout.lines if line.startswith("rivers: ")]


def test_a_baseline_that_is_no_baseline_is_a_problem(project: Project) -> None:
    project.choice_task("rivers")
    project.write("baselines/pupil/rivers.json", "{")
    run = project.run(MODEL, PLAN)
    assert run.ret == pytest.ExitCode.TESTS_FAILED
    assert "rivers.json" in text_of(run)
    # Where it would be replaced, or is not compared with, it is none.
    assert project.run(MODEL, PLAN, "--lm-update-baseline").ret == pytest.ExitCode.OK
    assert project.run(MODEL, PLAN, "--lm-gate=off").ret == pytest.ExitCode.OK


def test_a_file_that_cannot_be_read_stops_the_plan_as_it_stops_a_run(project: Project) -> None:
    project.everything()
    project.write("tasks/broken.yaml", "task: broken\nno_such_key: 1\n")
    run = project.run(MODEL, PLAN)
    assert run.ret == pytest.ExitCode.INTERRUPTED
    assert "no_such_key" in text_of(run)


def test_a_plan_is_of_a_model(project: Project) -> None:
    run = project.run(PLAN)
    assert run.ret == pytest.ExitCode.USAGE_ERROR
    assert "--lm-plan: give the model too" in text_of(run)


@pytest.mark.parametrize("way", ["serial", "workers"])
def test_times_are_those_of_the_last_run(project: Project, way: str) -> None:
    project.choice_task("rivers")
    project.run(*WAYS[way], MODEL).assert_outcomes(passed=1)
    kept = json.loads(project.read(".lmeval/speed.json"))
    assert kept["pupil"]["tokens"] == project_tokens(project)
    project.write(".lmeval/speed.json", json.dumps({"pupil": {"tokens": 20, "seconds": 10}}))
    project.asked()
    run = project.run(MODEL, PLAN)
    assert cells(run)["rivers"][3] == "1:18"
    run.stdout.fnmatch_lines(["*about 1:18 in one process, at the 2 tokens a second of the last run"])
    assert cells(project.run("--lm-model=pupil,knows=3", PLAN))["rivers"][3] == "-"
    assert json.loads(project.read(".lmeval/speed.json"))["pupil"]["tokens"] == 20


def project_tokens(project: Project) -> int:
    """What the pupil counts: words of the context and the answer, for each of two answers."""
    return sum(len(asked.text.replace("|", " ").split()) for asked in project.asked() if "|" in asked.text)


def test_a_sample_that_shows_the_drop(project: Project) -> None:
    project.choice_task("rivers", range(400), extra="gate: {acc: {min: 0.5}}\n")
    project.run(MODEL, *LOOSE, "--lm-report=json:report.json").assert_outcomes(passed=1)
    documents = asked_documents(project)
    assert 20 < len(documents) < 60
    # One of each stretch of the split, so no tenth of it is left out.
    assert {int(text.split()[3]) // 40 for text in documents} == set(range(10))
    assert project.report()["results"][0]["n"] == len(documents)
    assert cells(project.run(MODEL, PLAN, *LOOSE))["rivers"][0] == f"{len(documents)}/400"
    run = project.run(MODEL, "--lm-alpha=0.05", "--lm-detect=40pp", "--lm-report=json:report.json")
    run.assert_outcomes(passed=1)
    run.stdout.fnmatch_lines(["lmeval: model *, detect 40pp"])
    assert project.report()["run"]["limit"] == "detect 40pp"
    assert len(asked_documents(project)) < len(documents)


def test_a_task_that_is_too_small_is_asked_whole_and_says_what_it_sees(project: Project) -> None:
    project.choice_task("rivers")
    run = project.run(MODEL, "--lm-detect=1pp")
    run.assert_outcomes(passed=1)
    assert len(asked_documents(project)) == 10
    run.stdout.fnmatch_lines(["rivers: --lm-detect: a drop of 1.0 points takes *,* documents, there are 10: *"])


def test_a_sample_has_its_share_of_each_slice(project: Project) -> None:
    rows = [{"question": f"Where does it {n} flow?", "answer": n % 2, "level": "ab"[n < 90]} for n in range(300)]
    project.choice_task("rivers", extra="gate: {slices: level}\n")
    project.data("tasks/data/rivers.jsonl", rows)
    project.run(MODEL, *LOOSE).assert_outcomes(passed=1)
    numbers = [int(text.split()[3]) for text in asked_documents(project)]
    assert sum(n < 90 for n in numbers) == pytest.approx(0.3 * len(numbers), abs=1)


@pytest.mark.parametrize("way", ["serial", "workers"])
def test_the_members_of_a_group_share_its_documents(project: Project, way: str) -> None:
    project.group((300, 100))
    project.run(*WAYS[way], MODEL, *LOOSE).assert_outcomes(passed=3)
    questions = [asked.text for asked in project.asked() if "|" in asked.text]
    assert len(questions) == len(set(questions))
    asked = {text.partition("|")[0] for text in questions}
    counts = {name: sum(f" {name} " in text for text in asked) for name in ("lakes", "seas")}
    # 29 documents see 20 points; each member's share of them is rounded up.
    assert counts == {"lakes": 22, "seas": 8}


def test_a_sample_is_of_what_the_baseline_has(project: Project) -> None:
    project.choice_task("rivers", range(400))
    recorded = baseline(task([item(index, {"acc": 1.0}) for index in range(0, 400, 7)], total=400))
    project.write("baselines/pupil/rivers.json", dumps(recorded))
    project.run(MODEL, *LOOSE)
    numbers = [int(text.split()[3]) for text in asked_documents(project)]
    assert 20 < len(numbers) < 50
    assert all(number % 7 == 0 for number in numbers)
    planned = project.run(MODEL, PLAN)
    assert "rivers: its baseline has 58 of these 400 documents, and only they are compared" in text_of(planned)


def test_a_metric_that_is_no_mean_has_no_such_sample(project: Project) -> None:
    project.choice_task("rivers", range(50))
    text = project.read("tasks/rivers.yaml").replace("metric: acc, aggregation: mean", "metric: f1, aggregation: f1")
    project.write("tasks/rivers.yaml", text)
    run = project.run(MODEL, *LOOSE)
    run.assert_outcomes(passed=1)
    assert len(asked_documents(project)) == 50
    run.stdout.fnmatch_lines(["rivers: f1 is no mean of documents' values, so --lm-detect asked all of them"])


def test_a_marked_test_asks_what_it_says(project: Project) -> None:
    project.choice_task("rivers", range(100))
    project.python('@pytest.mark.lmeval("rivers", limit=7)\ndef test_marked(): pass')
    project.run(MODEL, *LOOSE, "test_own.py").assert_outcomes(passed=1)
    assert len(asked_documents(project)) == 7


def test_a_limit_and_a_drop_to_detect_exclude_each_other(project: Project) -> None:
    project.choice_task("rivers")
    run = project.run(MODEL, "--lm-detect=1pp", "--lm-limit=5")
    assert run.ret == pytest.ExitCode.USAGE_ERROR
    assert "--lm-limit=5 and --lm-detect=1pp: both choose how many documents are asked" in text_of(run)
