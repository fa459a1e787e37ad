"""How much is said: -qq, -q, nothing, -v and -vv; with and without colours, Unicode, a window."""

from __future__ import annotations

import re

import pytest

from .project import Project, text_of
from .test_live_lines import on_a_terminal

LOST = "--lm-model=pupil,knows=20"


@pytest.fixture
def recorded(project: Project) -> Project:
    """Two tasks with baselines; of one a worse model loses 20 documents, of the other none."""
    project.choice_task("rivers", range(40), extra="gate: {slices: [topic]}\n")
    rows = [{"question": f"Where does rivers {n} flow?", "answer": n % 2, "topic": f"t{n % 4}"} for n in range(40)]
    project.data("tasks/data/rivers.jsonl", rows)
    project.choice_task("seas", range(10))
    project.run("--lm-model=pupil", "--lm-update-baseline").assert_outcomes(passed=2)
    return project


def output(project: Project, *arguments: str) -> str:
    return project.run(LOST, *arguments).stdout.str()


def documents(text: str) -> int:
    return sum(line.startswith("document ") for line in text.splitlines())


def test_the_normal_run(recorded: Project) -> None:
    text = output(recorded)
    assert "= language model evaluation =" in text
    assert "\nmodel  pupil,knows=20  vs baseline of 20" in text
    assert documents(text) == 3
    assert "slice topic" not in text
    assert "seas: PASS" not in text
    assert "17 more, all shown with -vv" in text


def test_quiet_is_one_line_and_a_sentence_per_failure(recorded: Project) -> None:
    text = output(recorded, "-q")
    assert sum("documents ·" in line for line in text.splitlines()) == 1
    assert "✗ REGRESSED: 1 regressed · 1 pass · 50 documents · " in text
    assert "language model evaluation" not in text
    assert "rivers: REGRESSED: acc fell by 50.00 points" in text
    assert "look further with:" in text
    assert documents(text) == 0
    assert "report written" not in output(recorded, "-q", "--lm-report=json:report.json")
    # What is looked at later has everything.
    (row,) = [row for row in recorded.report()["results"] if row["task"] == "rivers"]
    assert "document " in row["explanation"]


def test_very_quiet_is_nothing_but_pytests_own(recorded: Project) -> None:
    text = output(recorded, "-qq")
    assert "documents ·" not in text
    assert "language model evaluation" not in text
    told = output(recorded, "-qq", "--lm-report=json:pytest.ini/report.json")
    assert "no report at" in told


def test_verbose_adds_slices_and_what_passed(recorded: Project) -> None:
    text = output(recorded, "-v")
    assert documents(text) == 3
    assert "slice topic = 't0': " in text
    assert "seas: PASS: acc 1.0000: all 10 answers are the same" in text
    # Once, and with -rP too: as part of the report, not as captured output.
    assert output(recorded, "-v", "-rP").count("seas: PASS: ") == 1


def test_very_verbose_is_all_that_was_lost(recorded: Project) -> None:
    text = output(recorded, "-vv")
    assert documents(text) == 20
    assert "all shown with" not in text


@pytest.mark.parametrize("plain", [False, True], ids=["colour", "NO_COLOR and ASCII"])
def test_a_window_of_eighty_columns(recorded: Project, plain: bool) -> None:
    environment = {"NO_COLOR": "1", "PYTHONIOENCODING": "ascii"} if plain else {}
    screen, _ = on_a_terminal(recorded, LOST, rows=70, **environment)
    shown = [line.rstrip() for line in screen.display]
    start = next(at for at, line in enumerate(shown) if line.startswith("task "))
    verdict = "x" if plain else "✗"
    assert shown[start + 1].startswith("rivers  40  ")
    assert shown[start + 1].endswith(f"{verdict} REGRESSED")
    assert shown[start + 2].endswith("+ PASS" if plain else "✓ PASS")
    assert shown[start + 3].startswith("1 regressed, 1 pass, 50 doc" if plain else "1 regressed · 1 pass · 50 doc")
    assert ("diff (95% CI)" in shown[start]) is plain
    assert not plain or "".join(shown[start:]).isascii()
    # Sentences are broken between words, and indented.
    head = next(at for at, line in enumerate(shown) if line.startswith("rivers: REGRESSED: "))
    assert shown[head + 1].startswith("  ")
    assert (screen.buffer[start + 1][shown[start + 1].rindex(verdict)].fg == "default") is plain
    assert (screen.buffer[head][0].fg == "default") is plain


def test_the_sentence_stands_in_the_short_summary(recorded: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    text = text_of(recorded.run(LOST))
    # CI shows whole messages there: one line, not the explanation once more.
    assert text.count("document ") - text.count("documents") <= 3
    assert "FAILED tasks/rivers.yaml::rivers - rivers: REGRESSED: acc fell by 50.00 points" in text


def test_what_cannot_be_compared_is_told_without_an_exceptions_name(recorded: Project) -> None:
    path = recorded.path / "tasks" / "rivers.yaml"
    path.write_text(path.read_text().replace("{{question}}", "Q: {{question}}"))
    # From a worker it comes as text, as from here.
    text = output(recorded, "-n", "1")
    assert "\nrivers: INCOMPARABLE: the baseline was made with other task definition; prompts\n" in text
    assert "Failed: rivers" not in text
    assert re.search(r"^rivers +40 +other task definition; prompts +⊘ INCOMPARABLE$", text, re.MULTILINE)
