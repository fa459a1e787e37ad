"""What changes how a task is asked, from the command line to the model."""

from __future__ import annotations

import pytest

from .conftest import Run
from .project import Project, text_of

SHOTS = """\
fewshot_config:
  samples: [{question: Which way is up?, answer: 0}]
num_fewshot: 1
description: "Say where. "
"""


def first_context(project: Project) -> str:
    """The first question that the model was asked, over as many lines as it has."""
    text = project.read("asked.txt").partition(" stream\n")[2]
    return text.partition(" ")[2].partition("|")[0]


@pytest.fixture
def asked(project: Project) -> Project:
    project.choice_task("rivers", extra=SHOTS)
    return project


TEXT = "Say where. Which way is up? north\n\nWhere does rivers 0 flow?"
TURNS = "system: Say where. \nuser: Which way is up?\nassistant: north\nuser: Where does rivers 0 flow?"
ONE = "system: Say where. \nuser: Which way is up? north\n\nWhere does rivers 0 flow?"


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ((), TEXT),
        (("--lm-system=Be brief.",), f"Be brief.\n\n{TEXT}"),
        (("--lm-chat-template",), TURNS),
        (("--lm-chat-template", "--lm-system=Be brief."), TURNS.replace("Say", "Be brief.\n\nSay")),
        (("--lm-chat-template", "--lm-fewshot-multiturn=false"), ONE),
        (("-o", "lm_chat_template=true", "-o", "lm_fewshot_multiturn=false"), ONE),
    ],
    ids=["text", "system", "turns", "turns-system", "one-turn", "ini"],
)
def test_how_the_model_is_asked(asked: Project, run: Run, args: tuple[str, ...], expected: str) -> None:
    assert run("--lm-model=pupil", *args).ret == 0
    assert first_context(asked) == expected


def test_choices_of_a_conversation_have_no_delimiter(asked: Project) -> None:
    asked.run("--lm-model=pupil", "--lm-chat-template", "--lm-limit=first:1")
    assert "flow?|north\n" in asked.read("asked.txt")
    (asked.path / "asked.txt").unlink()
    asked.run("--lm-model=pupil", "--lm-limit=first:1")
    assert "flow?| north\n" in asked.read("asked.txt")


def test_a_baseline_of_texts_does_not_judge_conversations(asked: Project) -> None:
    asked.run("--lm-model=pupil", "--lm-update-baseline")
    run = asked.run("--lm-model=pupil", "--lm-chat-template")
    run.assert_outcomes(errors=1)
    assert "prompts" in text_of(run)


def test_how_it_was_asked_is_told_and_reported(asked: Project, run: Run) -> None:
    result = run("--lm-model=pupil", "--lm-chat-template", "--lm-system=Be brief.", "--lm-report=json:report.json")
    result.stdout.fnmatch_lines(["lmeval: model pupil, chat template, system instruction"])
    facts = asked.report()["run"]
    assert (facts["chat_template"], facts["fewshot_multiturn"], facts["system"]) == (True, True, "Be brief.")


def test_a_wrong_value_is_a_usage_error(asked: Project, run: Run) -> None:
    result = run("--lm-model=pupil", "--lm-fewshot-multiturn=maybe")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "--lm-fewshot-multiturn=maybe: expected true or false" in text_of(result)


MADE = """
import datasets

def make(**known):
    words = [known["pretrained"] + str(number) for number in range(known.get("count", 2))]
    rows = [{"question": word, "answer": number % 2} for number, word in enumerate(words)]
    return {"test": datasets.Dataset.from_list(rows)}
"""


def test_a_dataset_that_a_task_makes_knows_the_model_and_the_users_words(project: Project) -> None:
    project.write("tasks/utils.py", MADE)
    text = (
        project.choice_task("rivers").read_text().replace("dataset_path: json", "custom_dataset: !function utils.make")
    )
    project.write("tasks/rivers.yaml", "".join(f"{line}\n" for line in text.splitlines() if "data_files" not in line))
    project.run("--lm-model=pupil:me", "--lm-metadata=count=3")
    assert [note.text.partition("|")[0] for note in project.asked() if "|" in note.text][::2] == ["me0", "me1", "me2"]


def test_unsafe_code_needs_consent(project: Project, run: Run) -> None:
    project.choice_task("rivers", extra="unsafe_code: true\n")
    result = run("--lm-model=pupil")
    result.assert_outcomes(errors=1)
    assert "tasks/rivers.yaml:12: unsafe_code: rivers runs code that the model writes" in text_of(result)
    run("--lm-model=pupil", "--lm-unsafe-code").assert_outcomes(passed=1)


def test_images_are_skipped_with_the_reason(project: Project, run: Run) -> None:
    project.everything()
    project.choice_task("seas", folder="tasks/waters", extra="doc_to_image: picture\n")
    result = run("--lm-model=pupil", "-rs")
    result.assert_outcomes(passed=3, skipped=2)
    assert "asks about images or sound; only text can be asked" in text_of(result)
