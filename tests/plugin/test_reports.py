"""The table at the end, the JSON report, and the progress line: what a run says, and where it must not say it."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Run
from .project import ALL_ITEMS, Project, text_of

ROW_KEYS = {
    *("nodeid", "task", "model", "n", "total", "members", "metric", "value", "stderr", "baseline", "difference"),
    *(
        "flips_regressed",
        "flips_improved",
        "verdict",
        "passed",
        "reason",
        "seconds",
        "tokens",
        "metrics",
        "warnings",
        "alias",
        "findings",
        "notes",
        "errors",
    ),
    *(
        "findings",
        "notes",
        "errors",
        "margins_moved",
        "bounds",
        "source",
        "explanation",
        "file",
        "line",
        "leaves",
        "samples",
    ),
    "settings",
}


def table(run: pytest.RunResult) -> list[str]:
    lines = run.stdout.lines
    start = next(i for i, line in enumerate(lines) if line.startswith("task "))
    return [line.split()[0] for line in lines[start + 1 : start + 1 + len(ALL_ITEMS)]]


def test_worst_first(project: Project, run: Run) -> None:
    project.everything()
    project.choice_task("rivers", range(20), extra="gate: {acc: {min: 0.9}}\n")
    (project.path / "tasks" / "data" / "sums.jsonl").unlink()
    result = run("--lm-model=pupil,knows=4")
    result.assert_outcomes(passed=3, failed=1, errors=1)
    assert table(result) == ["sums", "rivers", "lakes", "seas", "waters"]
    result.stdout.fnmatch_lines(
        [
            "*= language model evaluation =*",
            "task *n *metric *value *verdict",
            "sums *there is no file *⊘ ERROR",
            "rivers *20 *acc *0.2000 ± 0.0918 *BELOW",
            "1 error · 1 below-threshold · 3 no-baseline · *28 documents*tokens*",
        ]
    )


def test_documents_that_were_not_scored_are_counted(project: Project, run: Run) -> None:
    project.choice_task("rivers", extra="process_results: !function scoring.process\nmetric_list: [{metric: acc}]\n")
    project.write(
        "tasks/scoring.py",
        "def process(doc, results):\n    return None if doc['question'].split()[3] in '05' else {'acc': 1.0}\n",
    )
    result = run("--lm-model=pupil,knows=4", "--lm-report=json:report.json")
    warning = "2 of 10 documents were not scored: no metric was reported (first: document 0)"
    result.stdout.fnmatch_lines([f"rivers: {warning}"])
    (row,) = project.report("report.json")["results"]
    assert (row["n"], row["metrics"][0]["n"], row["warnings"]) == (10, 8, [warning])


def test_what_passes_without_a_baseline_says_how_to_record_one(project: Project, run: Run) -> None:
    project.everything()
    hint = "5 tasks have no baseline to compare with: --lm-update-baseline records it"
    # Directly below the totals: no blank line tears the table's foot off.
    run("--lm-model=pupil,knows=4").stdout.fnmatch_lines(["5 no-baseline · *documents*", hint], consecutive=True)
    recorded = run("--lm-model=pupil,knows=4", "--lm-update-baseline")
    assert "to compare with" not in text_of(recorded)
    better = run("--lm-model=pupil,knows=10", "-k", "rivers")
    better.stdout.fnmatch_lines(["1 task is better than its baseline: --lm-update-baseline keeps the gain"])
    # Syrupy's own summary must not call a passing task's baseline failed.
    better.stdout.fnmatch_lines(["1 snapshot passed."])


def test_a_report_that_cannot_be_written_fails_the_run_and_not_its_table(project: Project, run: Run) -> None:
    project.choice_task("rivers")
    project.write("file", "no folder")
    result = run("--lm-model=fake", "--lm-report=json:file/report.json")
    result.assert_outcomes(passed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["rivers *NO BASELINE", f"no report at {project.path}/file/report.json: *"])
    assert "Traceback" not in text_of(result)


def test_json(project: Project, run: Run) -> None:
    project.everything()
    # One that fails, so that the report of a red run is looked at.
    project.choice_task("rivers", extra="gate: {acc: {min: 0.9}}\n")
    result = run("--lm-model=pupil,knows=4", "--lm-report=json:out/report.json", "--lm-limit=8", "--lm-seed=5")
    result.stdout.fnmatch_lines(["report written to *out/report.json"])
    report = project.report("out/report.json")
    assert report.keys() == {"schema", "run", "results"}
    assert report["schema"] == 1
    facts: dict[str, Any] = report["run"]
    assert (facts["model"], facts["limit"], facts["seed"], facts["exit_status"]) == ("pupil,knows=4", "8", 5, 1)
    assert {"python", "pytest-lmeval"} <= facts["environment"].keys()
    assert 0 < facts["seconds"] < 60
    assert [row["nodeid"] for row in report["results"]] == sorted(ALL_ITEMS)
    assert all(row.keys() == ROW_KEYS for row in report["results"])
    rows = {row["task"]: row for row in report["results"]}
    assert (rows["rivers"]["verdict"], rows["rivers"]["passed"]) == ("below-threshold", False)
    assert (rows["rivers"]["n"], rows["rivers"]["total"]) == (8, 10)
    assert rows["rivers"]["metrics"][0]["key"] == "acc"
    assert (rows["sums"]["metric"], rows["sums"]["value"]) == ("exact_match", pytest.approx(4 / 6))
    assert (rows["waters"]["members"], rows["waters"]["n"]) == (2, 8)


def test_a_comparison_is_in_the_report(project: Project) -> None:
    project.choice_task("rivers", range(40))
    project.run("--lm-model=pupil", "--lm-update-baseline")
    project.run("--lm-model=pupil,knows=8", "--lm-report=json:report.json").assert_outcomes(failed=1)
    row = project.report()["results"][0]
    assert (row["baseline"], row["difference"]) == (1.0, pytest.approx(-0.8))
    assert (row["flips_regressed"], row["flips_improved"], row["verdict"]) == (32, 0, "regressed")


def test_a_stopped_run_reports_what_it_has(project: Project) -> None:
    project.choice_task("rivers", extra="gate: {acc: {min: 0.9}}\n")
    project.choice_task("seas")
    result = project.run("--lm-model=pupil,knows=4", "-x", "--lm-report=json:report.json")
    result.stdout.fnmatch_lines(["rivers *BELOW"])
    report = project.report()
    assert [row["task"] for row in report["results"]] == ["rivers"]
    assert report["run"]["exit_status"] == 1


def test_an_interrupted_run_reports_what_it_has(project: Project) -> None:
    project.choice_task("rivers")
    project.python("def test_own(): pytest.exit('enough')")
    result = project.run("--lm-model=pupil", "tasks", "test_own.py", "--lm-report=json:report.json")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert [row["task"] for row in project.report()["results"]] == ["rivers"]


def test_python_tests_are_in_the_report(project: Project, run: Run) -> None:
    project.choice_task("rivers")
    project.python(
        """
def test_good(lm_evaluate):
    lm_evaluate("rivers", limit=4)

def test_bad(lm_evaluate):
    assert lm_evaluate("rivers")["acc"] > 2
"""
    )
    run("--lm-model=pupil", "test_own.py", "--lm-report=json:report.json", "--junitxml=junit.xml")
    rows = {row["nodeid"]: row for row in project.report()["results"]}
    good, bad = rows["test_own.py::test_good"], rows["test_own.py::test_bad"]
    assert (good["task"], good["n"], good["verdict"], good["passed"]) == ("rivers", 4, "pass", True)
    assert (bad["task"], bad["n"], bad["verdict"], bad["passed"]) == ("rivers", 10, "test-failed", False)
    assert 'name="lm.score"' in project.read("junit.xml")


def test_several_reports(project: Project) -> None:
    project.choice_task("rivers")
    project.run("--lm-model=fake", "--lm-report=json:a.json", "--lm-report=json:b.json")
    assert project.report("a.json")["results"] == project.report("b.json")["results"]


def test_a_report_replaces_an_older_one(project: Project) -> None:
    project.choice_task("rivers")
    project.write("report.json", "old")
    project.run("--lm-model=fake", "--lm-report=json:report.json", "--collect-only")
    project.run("--lm-model=fake", "--lm-report=json:report.json")
    assert len(project.report()["results"]) == 1


def test_no_table_without_results(project: Project) -> None:
    project.python("def test_own(): pass")
    assert "language model evaluation" not in text_of(project.run("--lm-model=fake"))


def test_model_output_does_not_reach_the_terminal_raw(project: Project) -> None:
    project.data("tasks/data/rivers.jsonl", [{"question": f"\x1b[2J {n}", "answer": n % 2} for n in range(40)])
    (project.path / "tasks" / "rivers.yaml").write_text(
        project.choice_task("brooks").read_text().replace("brooks", "rivers")
    )
    project.run("--lm-model=pupil", "--lm-update-baseline")
    result = project.run("--lm-model=pupil,knows=3", "tasks/rivers.yaml")
    result.assert_outcomes(failed=1)
    assert "\x1b[2J" not in text_of(result)


def test_the_names_that_files_want_shown_are_for_other_programs(project: Project) -> None:
    project.group(extra="group_alias: All waters\n")
    project.choice_task("rivers", extra="task_alias: Big rivers\n")
    run = project.run("--lm-model=pupil", "--lm-report=json:report.json")
    aliases = {row["task"]: row["alias"] for row in project.report()["results"]}
    assert aliases == {"rivers": "Big rivers", "lakes": None, "seas": None, "waters": "All waters"}
    assert "Big rivers" not in text_of(run)


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_what_answered_and_what_it_took(project: Project, workers: tuple[str, ...]) -> None:
    project.everything()
    model = "pupil,knows=4,metered=true"
    result = project.run(f"--lm-model={model}", "--lm-report=json:report.json", *workers)
    answered = project.report("report.json")["run"]["answered"]
    assert answered["info"]["backend"] == "fake"
    asked = answered["usage"]["calls"]
    assert asked > 0
    assert answered["usage"]["prompt_tokens"] == 10 * asked
    assert answered["usage"]["retries"] == 0
    opened = round(answered["usage"]["cost"] / 0.5)
    assert 1 <= opened <= max(1, len(workers))
    cost = f"{answered['usage']['cost']:.4f}"
    result.stdout.fnmatch_lines([f"server: {asked} calls, {10 * asked:,} tokens read, 0 written, cost {cost}"])
    assert "server:" not in text_of(project.run("--lm-model=pupil,knows=4"))
