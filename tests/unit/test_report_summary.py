from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_lmeval.backends.protocol import Usage
from pytest_lmeval.model_facts import ModelFacts
from pytest_lmeval.report.heading import format_heading
from pytest_lmeval.report.lines import plain_text
from pytest_lmeval.report.summary import summary
from pytest_lmeval.report.told import Told, told_lines
from pytest_lmeval.runs.run import Run

from .recorded_runs import INFO, made_run, run_facts

SOURCE = "baseline of 2026-08-02 (114 days old, commit 91ab3f0, vllm 0.32.0, float16)"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return made_run(tmp_path / "run")


def lines(run: Run, **options: Any) -> list[str]:
    return [plain_text(line) for line in summary(run, **{"width": 80, "unicode": True, **options})]


def heading(run: Run, *sources: str | None, width: int = 80, revision: str | None = None, **facts: Any) -> list[str]:
    rows = [replace(run.rows[0], source=source) for source in sources]
    answered = ModelFacts({**INFO, "revision": revision})
    told = run_facts(**{"model": "hf:acme/chat", "answered": answered, "against": None, **facts})
    return [plain_text(line) for line in format_heading(told, rows, width=width, unicode=True)]


def test_model_and_baseline_on_one_line_where_there_is_room(run: Run) -> None:
    assert heading(run, SOURCE, width=120) == [f"model  hf:acme/chat  vs {SOURCE}"]
    assert heading(run, SOURCE) == [
        "model  hf:acme/chat",
        "  vs baseline of 2026-08-02 (114 days old, commit 91ab3f0, vllm 0.32.0, float16)",
    ]
    assert heading(run, SOURCE, width=60)[1:] == [
        "  vs baseline of 2026-08-02 (114 days old, commit 91ab3f0,",
        "  vllm 0.32.0, float16)",
    ]
    assert heading(run, None) == ["model  hf:acme/chat"]


def test_the_revision_is_told_once(run: Run) -> None:
    assert heading(run, None, revision="3f2c" * 10) == ["model  hf:acme/chat @ 3f2c3f2c3f2c"]
    assert heading(run, None, revision="v2", model="hf:acme/chat,revision=v2") == ["model  hf:acme/chat,revision=v2"]
    assert heading(run, None, answered=None) == ["model  hf:acme/chat"]


def test_several_baselines_are_counted(run: Run) -> None:
    other = "baseline of 2026-08-05 (1 day old)"
    assert heading(run, SOURCE, other) == ["model  hf:acme/chat  vs 2 baselines of 2026-08-02 to 2026-08-05"]
    assert heading(run, "published scores of A", "published scores of B", against="s.yaml (published scores)") == [
        "model  hf:acme/chat  vs s.yaml (published scores): 2 baselines"
    ]


def test_names_from_files_do_not_move_the_cursor(run: Run) -> None:
    assert all(line.isprintable() for line in heading(run, "baseline \x1b[2J\n\u202e", model="hf:\x1b]0;x\x07"))


def test_each_verbosity_says_what_it_should_and_no_more(run: Run) -> None:
    assert lines(run, verbosity=-2) == []
    (brief,) = lines(run, verbosity=-1)
    assert brief.startswith("✗ REGRESSED: 1 regressed · 1 no-baseline · 1 pass · 180 documents")
    normal = lines(run)
    assert normal[0].startswith("model  demo")
    table = next(at for at, line in enumerate(normal) if line.startswith("task "))
    assert [line.split()[0] for line in normal[table + 1 : table + 4]] == ["rivers", "lakes", "sums"]
    assert max(map(len, normal[: table + 5])) <= 80
    verbose = lines(run, verbosity=1)
    assert verbose[: len(normal)] == normal
    told = "\n".join(verbose[len(normal) :])
    # Sections of what passed; what failed has its own from pytest.
    assert "sums: PASS: " in told
    assert "lakes: NO BASELINE: " in told
    assert "rivers: REGRESSED" not in told
    assert lines(run, verbosity=2) == verbose


def test_the_cost_is_in_the_totals(run: Run) -> None:
    metered = replace(run, facts=run_facts(answered=ModelFacts(INFO, Usage(cost=0.5))))
    assert any(line.endswith(" · cost 0.50") for line in lines(metered))


def test_sentences_are_broken_for_a_window_and_left_whole_for_a_file(run: Run) -> None:
    noted = replace(run, rows=tuple(replace(row, warnings=("many words " * 20,)) for row in run.rows))
    assert max(map(len, lines(noted, wrapped=80))) <= 80
    assert max(map(len, lines(noted))) > 200


TEXT = "\n".join(
    [
        "rivers: REGRESSED: acc fell " + "and fell " * 12,
        "  0.4 (n=9)",
        "likely cause: the model prefers 'no'",
        "document 7 (empty): expected '[-x-]'",
        "  then  so [-1-] it",
        "  now   so {+2+} it",
        "look further with:",
        "  pytest " + "--lm-model=hf:a " * 12,
    ]
)


def marked(text: str, **options: Any) -> dict[str, Any]:
    return {
        piece: dict(markup) for line in told_lines(text, passed=False, **options) for piece, markup in line if markup
    }


def test_what_matters_is_coloured() -> None:
    found = marked(TEXT)
    assert found == {
        TEXT.split("\n")[0]: {"red": True, "bold": True},
        "likely cause:": {"bold": True},
        "document 7 (empty):": {"bold": True},
        "[-1-]": {"red": True, "bold": True},
        "{+2+}": {"green": True},
    }


def test_nothing_is_lost_by_colours_or_by_wrapping() -> None:
    assert "\n".join(plain_text(line) for line in told_lines(TEXT, passed=False)) == TEXT
    wrapped = [plain_text(line) for line in told_lines(TEXT, passed=False, width=60)]
    assert " ".join(" ".join(wrapped).split()) == " ".join(TEXT.split())
    # A command is copied: it stays on its line.
    assert TEXT.split("\n")[-1] in wrapped
    assert all(len(line) <= 60 for line in wrapped[:-1])


class Writer:
    """What a TerminalWriter is to an explanation."""

    fullwidth = 60

    def __init__(self, tty: bool) -> None:
        self._file: object = self if tty else object()
        self.text = ""

    def isatty(self) -> bool:
        return True

    def write(self, text: str, **markup: bool) -> None:
        self.text += text

    def line(self) -> None:
        self.text += "\n"


@pytest.mark.parametrize("tty", [True, False])
def test_it_stands_in_place_of_a_traceback(tty: bool) -> None:
    told, writer = Told(TEXT, "tasks/rivers.yaml", 3), Writer(tty)
    told.toterminal(writer)
    assert (writer.text == f"{TEXT}\n") is not tty
    assert str(told) == TEXT
    assert str(told.reprcrash).startswith("tasks/rivers.yaml:3: rivers: REGRESSED: acc fell")
    assert "\n" not in told.reprcrash.message
