"""A task is asked no further once it has certainly failed, or, on request, certainly passed."""

from __future__ import annotations

import pytest

from .project import Project, text_of

NUMBERS = range(400)


def record(project: Project, model: str = "pupil:m,knows=320") -> None:
    project.choice_task("rivers", NUMBERS)
    project.run(f"--lm-model={model}", "--lm-update-baseline").assert_outcomes(passed=1)
    project.asked()


def questions(project: Project) -> set[str]:
    """The documents that the model was asked about."""
    return {asked.text.partition("|")[0] for asked in project.asked() if "|" in asked.text}


def test_a_model_that_knows_nothing_is_red_after_some_tens_of_documents(project: Project) -> None:
    record(project)
    # Ready to be asked everything at once.
    run = project.run("--lm-model=pupil:m,knows=0,window=5000", "--lm-report=json:report.json")
    run.assert_outcomes(failed=1)
    assert len(questions(project)) == 64
    [row] = project.report()["results"]
    assert 13 <= row["n"] < 40
    told = (
        f"stopped after {row['n']} of 400 documents: 13 documents that the baseline has right are wrong now and 0 the"
    )
    assert told in " ".join(row["warnings"])
    assert "stopped after" in text_of(run)


def test_an_equal_model_is_asked_everything(project: Project) -> None:
    record(project)
    run = project.run("--lm-model=pupil:m,knows=320", "--lm-report=json:report.json")
    run.assert_outcomes(passed=1)
    assert len(questions(project)) == 400
    assert project.report()["results"][0]["n"] == 400


def test_a_small_task_is_asked_to_its_end(project: Project) -> None:
    project.choice_task("rivers", range(64))
    project.run("--lm-model=pupil", "--lm-update-baseline").assert_outcomes(passed=1)
    project.asked()
    project.run("--lm-model=pupil,knows=0").assert_outcomes(failed=1)
    assert len(questions(project)) == 64
    project.run("--lm-model=pupil,knows=0", "--lm-report=json:report.json")
    assert project.report()["results"][0]["n"] == 64


def test_early_stopping_can_be_left_out(project: Project) -> None:
    record(project)
    project.run("--lm-model=pupil:m,knows=0", "--lm-early-stop=false").assert_outcomes(failed=1)
    assert len(questions(project)) == 400


def test_a_recording_is_of_all_documents(project: Project) -> None:
    record(project)
    options = ("--lm-update-baseline", "--lm-accept-regression")
    project.run("--lm-model=pupil:m,knows=0", *options).assert_outcomes(passed=1)
    assert len(questions(project)) == 400


def test_a_pass_that_is_certain_ends_a_task_where_that_was_asked_for(project: Project) -> None:
    record(project)
    options = ("--lm-sequential", "--lm-margin=10pp", "--lm-report=json:report.json")
    project.run("--lm-model=pupil:m,knows=320", *options).assert_outcomes(passed=1)
    [row] = project.report()["results"]
    assert 30 < row["n"] < 300
    told = f"it passes whatever the other {400 - row['n']} say, with a probability of 99 %"
    assert told in " ".join(row["warnings"])


def test_the_other_tasks_are_asked_as_ever(project: Project) -> None:
    """The model knows the seas and not the rivers; both fill the same batches."""
    for name, numbers in (("rivers", range(1000, 1300)), ("seas", range(300))):
        project.choice_task(name, numbers)
    project.run("--lm-model=pupil:m,knows=2000", "--lm-update-baseline").assert_outcomes(passed=2)
    project.asked()
    run = project.run("--lm-model=pupil:m,knows=1000,window=5000", "--lm-report=json:report.json")
    run.assert_outcomes(passed=1, failed=1)
    rows = {row["task"]: row for row in project.report()["results"]}
    assert rows["rivers"]["n"] < 40
    assert rows["seas"]["n"] == 300


def test_a_broken_model_stops_the_tasks_of_a_group_too(project: Project) -> None:
    project.group((200, 200))
    project.run("--lm-model=pupil", "--lm-update-baseline").assert_outcomes(passed=3)
    project.asked()
    project.run("--lm-model=pupil,broken=true").assert_outcomes(errors=3)
    assert len(questions(project)) <= 2 * 64


def test_a_worse_model_is_asked_all_of_a_group(project: Project) -> None:
    project.group((200, 200))
    project.run("--lm-model=pupil", "--lm-update-baseline").assert_outcomes(passed=3)
    project.asked()
    project.run("--lm-model=pupil,knows=50").assert_outcomes(passed=2, failed=1)
    assert len(questions(project)) == 400


@pytest.mark.parametrize("gate", ["", "gate: {acc: 0.0}\n"], ids=["no gate", "threshold"])
def test_a_broken_model_is_an_error_without_a_baseline(project: Project, gate: str) -> None:
    project.choice_task("rivers", NUMBERS, extra=gate)
    run = project.run("--lm-model=pupil:m,broken=true")
    run.assert_outcomes(errors=1)
    told = "rivers: stopped after 1 of 400 documents: the model gives a log-probability that is not a number"
    assert told in text_of(run)
