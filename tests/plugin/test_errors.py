"""Wrong is not broken: whatever keeps a task from being judged is an error of that task, and of no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Run
from .project import Project, text_of


@pytest.fixture
def broken(project: Project) -> Project:
    """Two tasks that work, around one that a test breaks."""
    project.choice_task("aaa")
    project.choice_task("zzz")
    return project


def check(result: pytest.RunResult, *lines: str) -> None:
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(list(lines))
    assert "pytest_lmeval/" not in text_of(result)


def test_requests_that_fail(project: Project, run: Run) -> None:
    project.choice_task("rivers", range(40))
    result = run("--lm-model=fake,fail_every=3")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [
            "rivers: [1-9]* of 40 documents were not answered, and max_error_rate is 1 %:",
            "  This request fails because fail_every says so.",
            "rivers*ERROR",
        ]
    )
    assert "pytest_lmeval/" not in text_of(result)


def test_requests_that_may_fail(project: Project, run: Run) -> None:
    project.choice_task("rivers", range(40))
    result = run("--lm-model=fake,fail_every=9", "--lm-max-error-rate=50%")
    result.assert_outcomes(passed=1)
    told = "rivers: [1-9]* of 40 documents were not answered: This request fails because fail_every says so."
    result.stdout.fnmatch_lines([told])


def test_a_python_test_does_not_see_the_score_of_too_few_documents(project: Project) -> None:
    project.choice_task("rivers", range(40))
    project.python("def test_own(lm_evaluate):\n    lm_evaluate('rivers')")
    result = project.run("--lm-model=fake,fail_every=9", "test_own.py")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*rivers: [1-9]* of 40 documents were not answered, and max_error_rate is 1 %:"])
    project.run("--lm-model=fake,fail_every=9", "--lm-max-error-rate=0.5", "test_own.py").assert_outcomes(passed=1)


def test_an_engine_that_breaks(project: Project) -> None:
    project.choice_task("rivers")
    project.choice_task("seas", range(20, 24))
    # Its windows are small: what it held is lost, what comes later is asked of a new stream.
    result = project.run("--lm-model=pupil,breaks=rivers 9,window=4")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        ["rivers: * of * documents w* not answered, and max_error_rate is 1 %:", "  RuntimeError: the engine broke"]
    )


def test_a_model_that_does_not_open(project: Project, run: Run) -> None:
    project.choice_task("rivers")
    project.choice_task("brooks")
    result = run("--lm-model=pupil:absent")
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(["pupil:absent cannot be opened: OSError: no such weights"])
    assert "pytest_lmeval/" not in text_of(result)
    full = project.run("--lm-model=pupil:absent", "--full-trace")
    assert "open_model" in text_of(full)


def test_a_missing_data_file(broken: Project) -> None:
    broken.choice_task("mmm")
    (broken.path / "tasks" / "data" / "mmm.jsonl").unlink()
    check(broken.run("--lm-model=fake"), "tasks/mmm.yaml:4: there is no file 'data/mmm.jsonl' next to the task file")


def test_a_missing_dataset(broken: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    broken.write(
        "tasks/mmm.yaml",
        "task: mmm\ndataset_path: nobody/nothing\ntest_split: test\ndoc_to_text: a\ndoc_to_target: b\n",
    )
    check(
        broken.run("--lm-model=fake"),
        "mmm: dataset nobody/nothing cannot be loaded: *",
        "No --lm-data-dir is set: to run without a hub, put its rows at <lm_data_dir>/nobody/nothing/default/*",
    )


def test_data_that_are_not_json(broken: Project) -> None:
    broken.choice_task("mmm")
    broken.write("tasks/data/mmm.jsonl", '{"question": "?"}\n{\n')
    check(broken.run("--lm-model=fake"), "*mmm.jsonl:2: not valid JSON: *")


def test_a_missing_column(broken: Project) -> None:
    broken.choice_task("mmm")
    broken.data("tasks/data/mmm.jsonl", [{"other": 1}])
    check(broken.run("--lm-model=fake"), "tasks/mmm.yaml*")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("    return {'acc': 1 / 0}", "ZeroDivisionError: division by zero"),
        ("    raise KeyError('gold')", "KeyError: 'gold'"),
    ],
    ids=["division", "key"],
)
def test_a_function_that_raises(broken: Project, body: str, message: str) -> None:
    broken.choice_task("mmm", extra="process_results: !function maths.score\n")
    broken.write("tasks/maths.py", f"def score(doc, results):\n{body}\n")
    lines = (f"tasks/mmm.yaml:12: process_results: {message}*", "  raised at tasks/maths.py:2, in score")
    check(broken.run("--lm-model=fake"), *lines)


def test_a_function_that_is_missing(broken: Project) -> None:
    broken.choice_task("mmm", extra="process_results: !function maths.score\n")
    check(broken.run("--lm-model=fake"), "tasks/mmm.yaml:*: !function maths.score: there is no maths.py*")


def test_every_error_has_a_row_in_the_reports(broken: Project, run: Run) -> None:
    path: Path = broken.choice_task("mmm")
    (path.parent / "data" / "mmm.jsonl").unlink()
    result = run("--lm-model=pupil", "--lm-report=json:report.json")
    result.stdout.fnmatch_lines(["mmm *ERROR"])
    rows = {row["task"]: row for row in broken.report()["results"]}
    assert (rows["mmm"]["verdict"], rows["mmm"]["passed"], rows["mmm"]["value"]) == ("error", False, None)
    assert "there is no file" in rows["mmm"]["reason"]
    assert rows["aaa"]["passed"]
