"""The text of an alert: names and numbers only, nothing that a model or a dataset said."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pytest_lmeval.alerts.outcome import Outcome
from pytest_lmeval.gate.numbers import format_distance, format_value, is_fraction
from pytest_lmeval.gate.verdict import Status
from pytest_lmeval.report.rows import ReportRow
from pytest_lmeval.runs.run import Run

#: So many tasks are told.
TASKS = 5
_NAME = 80
_ORDER = [status.value for status in Status]
# Names come from files of a pull request: none of them may mention everybody, or begin a link or a command.
_FORBIDDEN = re.compile(r"[^\w .,:;+/()%=\[\]-]")
_LINK = re.compile(r"https?://[^\s<>|\"'`]{1,400}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """``title`` is the verdict in a line, ``body`` the lines below it."""

    title: str
    body: str
    failed: bool


def message_of(run: Run, then: Outcome | None) -> Message:
    """Tell of a run, and of what is otherwise than in the run before."""
    now = Outcome.of(run)
    lines = [*_changes(now, then), *_tasks(run), _place(run)]
    return Message(title=_title(run, now), body="\n".join(lines), failed=now.failed)


def _title(run: Run, now: Outcome) -> str:
    tasks = len(run.rows)
    of = f"{tasks:,} task{'s' * (tasks != 1)}"
    if not now.failed:
        return f"{_plain(run.facts.model)}: passed ({of})"
    found = f"{sum(not row.passed for row in run.rows):,} of {of} failed" if now.failing else f"{of} together failed"
    return f"{_plain(run.facts.model)}: FAILED ({found})"


def _changes(now: Outcome, then: Outcome | None) -> Iterator[str]:
    if then is None:
        return
    moved = {"newly failing": now.failing - then.failing, "no longer failing": then.failing - now.failing}
    for what, tasks in moved.items():
        if tasks:
            named = ", ".join(_plain(task) for task in sorted(tasks)[:TASKS])
            yield f"{what}: {named}{f' and {len(tasks) - TASKS:,} more' if len(tasks) > TASKS else ''}"


def _tasks(run: Run) -> Iterator[str]:
    failing = sorted((row for row in run.rows if not row.passed), key=_badness)
    yield from (_task(row) for row in failing[:TASKS])
    if len(failing) > TASKS:
        yield f"and {len(failing) - TASKS:,} more"


def _badness(row: ReportRow) -> tuple[int, float, str]:
    """The worst verdict first; of one verdict the largest drop."""
    place = _ORDER.index(row.verdict) if row.verdict in _ORDER else -1
    return place, 0.0 if row.difference is None else -abs(row.difference), row.task


def _task(row: ReportRow) -> str:
    """One task's numbers."""
    told = f"{_plain(row.task)}: {_plain(row.verdict)}"
    if not row.metric:
        return told
    told += f", {_plain(row.metric)} {format_value(row.value)}"
    if row.baseline is None or row.difference is None:
        return f"{told} (n = {row.n:,})"
    fraction = is_fraction(row.baseline, row.value)
    moved = format_distance(row.difference, fraction=fraction, like=row.value, signed=True)
    return f"{told}, baseline {format_value(row.baseline)} ({moved}, n = {row.n:,})"


def _place(run: Run) -> str:
    """Where to look further: the CI job where there is one, the run's id, and what was checked out."""
    origin = run.facts.origin
    commit = f", commit {origin.commit[:10]}" if origin.commit else ""
    branch = f" on {_plain(origin.branch)}" if origin.branch else ""
    link = f"{origin.url}\n" if origin.url and _LINK.fullmatch(origin.url) else ""
    return f"{link}run {_plain(run.facts.id)}{commit}{branch}"


def _plain(text: str) -> str:
    return _FORBIDDEN.sub("_", text)[:_NAME]
