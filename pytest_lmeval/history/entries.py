"""What a run adds to the history: plain values for its line and for those of its results."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert

from pytest_lmeval.baselines.plain import plain
from pytest_lmeval.history.schema import RESULTS, RUNS
from pytest_lmeval.history.scores import documents_digest, pack
from pytest_lmeval.history.text import storable
from pytest_lmeval.report.rows import ReportRow
from pytest_lmeval.results import ItemResult, MetricValue
from pytest_lmeval.runs.run import Run

# What is said to the model around a task's questions; the questions themselves are in the row's digest.
_PROMPT_OPTIONS = ("system", "chat_template", "fewshot_multiturn")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A run in the form in which it is appended: the columns of its line, and of the lines of its results."""

    run: Mapping[str, Any]
    results: tuple[Mapping[str, Any], ...]


def entry_of(run: Run) -> Entry:
    """Reduce a run to what is kept of it: no prompt, no answer. Raises RunError where its documents cannot be read."""
    return Entry(run=_run(run), results=tuple(_results(run)))


def append(connection: Connection, entry: Entry) -> None:
    """Add a run with all its results."""
    number = connection.execute(insert(RUNS).values(**entry.run)).inserted_primary_key
    assert number is not None
    connection.execute(insert(RESULTS), [{"run_id": number[0], **result} for result in entry.results])


def settings_of(run: Run, row: ReportRow) -> str:
    """Digest what determines a task's questions in this run: values are in one trend where this agrees."""
    options = {name: run.facts.options.get(name) for name in _PROMPT_OPTIONS}
    return _digest([row.settings, plain(options)])


def tasks_of(rows: tuple[ReportRow, ...]) -> str:
    """Digest which tasks a run evaluated."""
    return _digest(sorted([row.nodeid, row.task] for row in rows))


def _run(run: Run) -> dict[str, Any]:
    facts, info = run.facts, run.facts.answered.info if run.facts.answered else {}
    return _storable(
        {
            "run": facts.id,
            "started": facts.started,
            "seconds": facts.seconds,
            "model": facts.model,
            "revision": _text(info.get("revision")),
            "backend": _text(info.get("backend")),
            "against": facts.against,
            **{name: getattr(facts.origin, name) for name in ("commit", "branch", "ci", "url", "change")},
            "options": plain(facts.options),
            "environment": dict(facts.environment),
            "exit_status": facts.exit_status,
            "verdict": None if run.suite is None else run.suite.status.value,
            "failed": run.failed,
            "tasks": tasks_of(run.rows),
        }
    )


def _results(run: Run) -> Iterator[dict[str, Any]]:
    for row in run.rows:
        record = run.record(row)
        items = record.result.items if record is not None else ()
        # A task that broke has no metric, and is in the history all the same.
        for metric in row.metrics or (_none(row),):
            yield _storable(
                {**_row(row), **_metric(row, metric), **_scores(items, metric), "settings": settings_of(run, row)}
            )


def _row(row: ReportRow) -> dict[str, Any]:
    names = ("nodeid", "task", "verdict", "passed", "errors", "tokens", "seconds")
    return {name: getattr(row, name) for name in names}


def _metric(row: ReportRow, metric: MetricValue) -> dict[str, Any]:
    found = next((finding for finding in row.findings if finding.metric == metric.key), None)
    shown = metric.key == row.metric
    tested = found.tested if found else None
    return {
        "metric": metric.key,
        "main": shown,
        "higher_is_better": metric.higher_is_better,
        "value": metric.value,
        "stderr": metric.stderr,
        "n": metric.n,
        "baseline": found.baseline if found else row.baseline if shown else None,
        "difference": found.difference if found else row.difference if shown else None,
        "low": found.low if found else None,
        "high": found.high if found else None,
        "p": tested.p if tested else None,
        "mde": found.detectable if found else None,
        "flips_regressed": (tested.regressed or 0) if tested else row.flips_regressed if shown else 0,
        "flips_improved": (tested.improved or 0) if tested else row.flips_improved if shown else 0,
    }


def _scores(items: tuple[ItemResult, ...], metric: MetricValue) -> dict[str, Any]:
    scores = pack(items, metric.key) if items else None
    return {"documents": None if scores is None else documents_digest(items), "scores": scores}


def _none(row: ReportRow) -> MetricValue:
    return MetricValue(name=row.metric, filter="none", value=row.value, stderr=None, higher_is_better=True, n=row.n)


def _storable(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: storable(value) for name, value in values.items()}


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
