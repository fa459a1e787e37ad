"""The report in Markdown, for comments on changes, job summaries and files: no larger than asked for.

GitHub takes comments of 65,536 characters and job summaries of 1 MiB. What does not fit is left out whole, and said
to be.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from pytest_lmeval.baselines.files import write_atomically
from pytest_lmeval.report.escaping import code, fenced
from pytest_lmeval.report.markdown_footer import footer
from pytest_lmeval.report.markdown_table import table
from pytest_lmeval.report.outcomes import Kind, counts_told, kind_of, run_kind, symbol_of, verdict_told, worst_first
from pytest_lmeval.report.rows import ReportRow
from pytest_lmeval.runs.run import Run

#: Bytes of a report that fits into a comment on GitHub.
COMMENT_BYTES = 60_000
# Of these the table may take so much: beside it there must be room for why.
_TABLE_SHARE = 0.5
_TOLD = 6_000
_SENTENCES, _SENTENCE_WIDTH = 5, 500

_ALERTS = {
    Kind.FAILED: ("CAUTION", "❌", "The model is worse than it may be."),
    Kind.UNSURE: ("CAUTION", "❌", "Too few documents to tell whether the model got worse, which fails here."),
    Kind.ERROR: ("CAUTION", "❌", "Something could not be judged: this says nothing about the model's quality."),
    Kind.WARNED: ("WARNING", "⚠️", "Passed, with something to look at."),
    Kind.IMPROVED: ("TIP", "✅", "Better than before."),
    Kind.PASSED: ("NOTE", "✅", "Passed."),
}


def write_markdown(path: Path, run: Run) -> None:
    """Write the report, small enough for a comment. Raises OSError."""
    write_atomically(path, markdown(run))


def markdown(run: Run, limit: int = COMMENT_BYTES) -> str:
    """Spell the report in at most ``limit`` bytes of UTF-8, which should be some ten thousand or more."""
    head = "\n".join([marker(run), _title(run), "", *_alert(run), ""])
    end = footer(run.facts)
    room = limit - _size(head) - _size(end)
    tabled = "\n".join([*table(run, int(room * _TABLE_SHARE)), ""])
    details = _details([row for row in worst_first(run.rows) if _is_news(row)], room - _size(tabled) - 1)
    return "\n".join([head, tabled, *details, end])


def marker(run: Run) -> str:
    """The line, not shown, by which a job finds its comment of last time: the same model and tasks have the same."""
    asked = "\n".join([run.facts.model, *sorted({row.task for row in run.rows})])
    key = hashlib.sha256(asked.encode(errors="replace")).hexdigest()[:16]
    return f"<!-- pytest-lmeval:{key} -->"


def _title(run: Run) -> str:
    return f"### {_ALERTS[run_kind(run)][1]} Language model evaluation: {code(run.facts.model, 100)}"


def _alert(run: Run) -> Iterator[str]:
    kind, _, sentence = _ALERTS[run_kind(run)]
    yield f"> [!{kind}]"
    yield f"> **{sentence}** {counts_told(run.rows)}."
    if run.suite is not None:
        for told in run.suite.sentences[:_SENTENCES]:
            yield f"> <br>suite {run.suite.status.value}: {code(told, _SENTENCE_WIDTH)}"


def _is_news(row: ReportRow) -> bool:
    return kind_of(row) not in (Kind.PASSED, Kind.IMPROVED)


def _detail(row: ReportRow) -> str:
    text = row.explanation or "\n".join([row.reason, *row.notes])
    told = "\n".join([text, *(f"warning: {warning}" for warning in row.warnings)]).strip()
    cut = told if len(told) <= _TOLD else f"{told[:_TOLD]}\n(cut here)"
    summary = f"<summary>{symbol_of(row)} {code(row.task, 80)} {verdict_told(row)}</summary>"
    return "\n".join([f"<details>{summary}", "", fenced(cut), "", "</details>", ""])


def _details(rows: Sequence[ReportRow], room: int) -> list[str]:
    """Explain the first tasks, as many as fit, and say how many do not."""
    note = "_{:,} more tasks are not explained here for lack of room: the job's log and its other reports have all._\n"
    kept: list[str] = []
    room -= _size(note) + 10
    for row in rows:
        part = _detail(row)
        room -= _size(part) + 1
        if room < 0:
            return [*kept, note.format(len(rows) - len(kept))]
        kept.append(part)
    return kept


def _size(text: str) -> int:
    return len(text.encode())
