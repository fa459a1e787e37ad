"""The report in Markdown: what it says, that it fits, and that nothing in it is obeyed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pytest_lmeval.report.markdown import COMMENT_BYTES, markdown, marker, write_markdown
from pytest_lmeval.runs.run import Run

from .hostile import HOSTILE
from .recorded_runs import ID, baseline_from, choice_item, made_run, record_of, result_of, run_facts
from .test_report_escaping import Page

ALLOWED = (
    *("h3", "blockquote", "p", "strong", "br", "table", "thead", "tbody", "tr", "th", "td", "hr", "sub"),
    *("details", "summary", "pre", "code"),
)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return made_run(tmp_path / ID)


def test_what_it_says(run: Run) -> None:
    text = markdown(run)
    first, *lines = text.splitlines()
    assert first == marker(run)
    assert lines[2:4] == [
        "> [!CAUTION]",
        "> **The model is worse than it may be.** 1 regressed · 1 no-baseline · 1 pass.",
    ]
    rows = [line for line in lines if line.startswith("| ")]
    assert rows[0] == "|  | task | n | metric | baseline | now | Δ (95 % CI) | flips -/+ | p adj | MDE | verdict |"
    assert rows[2].startswith(
        "| ❌ | <code>rivers</code> | 60 | <code>acc</code> | 1.0000 | 0.6667 | -33.3 [-45.9, -22.7] pp"
    )
    assert rows[2].endswith("| 20 / 0 | 1e-6 | 23.1 pp | REGRESSED |")
    assert [row.split("|")[1].strip() for row in rows[2:]] == ["❌", "⚠️", "✅"]
    # Why, in the words of the terminal: the numbers, the cause, the documents that flipped.
    assert run.rows[0].explanation in text
    assert "document 19: expected 'north'" in text
    for fact in ("demo", "float32", "1234", "91ab3f091ab3", ID, "pytest --lm-model&#61;demo"):
        assert f"<code>{fact}</code>" in lines[-1]


@pytest.mark.parametrize(
    ("changes", "box"),
    [
        ({"verdict": "inconclusive", "passed": False}, "CAUTION"),
        ({"verdict": "incomparable", "passed": False}, "CAUTION"),
        ({"verdict": "inconclusive", "notes": ("too few documents",)}, "WARNING"),
        ({"verdict": "improved"}, "TIP"),
        ({"verdict": "pass"}, "NOTE"),
    ],
)
def test_the_box_tells_the_outcome(run: Run, changes: dict[str, object], box: str) -> None:
    row = replace(run.rows[1], **changes)  # type: ignore[arg-type]
    assert f"> [!{box}]" in markdown(replace(run, rows=(row,), suite=None))


def test_the_marker_is_of_the_model_and_its_tasks(run: Run) -> None:
    better = replace(run, rows=tuple(replace(row, verdict="pass", n=1) for row in reversed(run.rows)))
    assert marker(better) == marker(run)
    assert marker(replace(run, rows=run.rows[:2])) != marker(run)
    assert marker(replace(run, facts=run_facts(model="hf:gpt2"))) != marker(run)


def test_it_fits_and_says_what_is_left_out(run: Run, tmp_path: Path) -> None:
    row = replace(run.rows[0], explanation="é" * 10_000)
    many = replace(run, rows=tuple(replace(row, task=f"task{at}ø") for at in range(3000)))
    write_markdown(tmp_path / "report.md", many)
    data = (tmp_path / "report.md").read_bytes()
    assert COMMENT_BYTES - 15_000 < len(data) <= COMMENT_BYTES
    page = Page(data.decode())
    assert page.open == []
    told = page.within("em")
    assert "more tasks, none of them worse, are left out" in told
    assert "more tasks are not explained here" in told
    # What stands at the end is there all the same.
    assert "91ab3f091ab3" in page.within("code")
    assert len(markdown(many, 1_000_000).encode()) <= 1_000_000


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_texts_stay_texts(run: Run, text: str) -> None:
    then = result_of("rivers", [choice_item(index, right=True) for index in range(40)])
    items = [
        choice_item(index, right=index > 20, prompt=text, target=text, answer=text, choices=(text, "south"))
        for index in range(40)
    ]
    row = record_of(result_of(text, items), baseline_from(then)).row
    row = replace(row, warnings=(text,), notes=(text,), model=text, metric=text, reason=text)
    facts = run_facts(model=text, against=text, command=("pytest", text))
    # A verdict is one of ours; of another program's only letters are shown.
    other = replace(row, explanation="", verdict=text.replace("HOSTILE", ""))
    page = Page(markdown(replace(run, rows=(row, other), facts=facts)))
    assert page.open == []
    assert {*page.tags} == {*ALLOWED}
    assert page.tags.count("tr") == 3
    assert page.tags.count("summary") == page.tags.count("details") == 2
    assert {parent for parent, shown in page.texts if "HOSTILE" in shown} == {"code"}
    assert len(page.comments) == 1
