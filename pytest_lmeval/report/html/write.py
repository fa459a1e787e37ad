"""Write the HTML report of a run, a task at a time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pytest_lmeval.baselines.files import write_bytes_atomically
from pytest_lmeval.gate.causes.account import account
from pytest_lmeval.report.html.changes import higher_is_better, measure_of
from pytest_lmeval.report.html.chunks import chunk
from pytest_lmeval.report.html.columns import columns
from pytest_lmeval.report.html.details import document_details, row_details
from pytest_lmeval.report.html.header import header, title
from pytest_lmeval.report.html.histogram import margin_histogram
from pytest_lmeval.report.html.overview import Overview, unique_names
from pytest_lmeval.report.html.page import page
from pytest_lmeval.report.html.text import shown
from pytest_lmeval.report.rows import ReportRow
from pytest_lmeval.runs.run import Run
from pytest_lmeval.runs.tasks import TaskRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """What a task adds to the page; ``documents`` counts those that can be looked at."""

    chunks: tuple[str, ...]
    documents: int
    members: tuple[str, ...]


def write_html(path: Path, run: Run) -> None:
    """Write the report. Raises RunError where a task's documents were kept and cannot be read, OSError."""
    names = unique_names(run.rows)
    parts = [_part(run, number, row) for number, row in enumerate(run.rows)]
    members = {number: part.members for number, part in enumerate(parts) if part.members}
    index = {
        "tasks": [{"name": name, "documents": part.documents} for name, part in zip(names, parts, strict=True)],
        "model": run.facts.model,
    }
    content = page(
        title=shown(title(run)),
        header=header(run),
        overview=Overview(rows=run.rows, names=names, members=members).to_html(),
        chunks=[chunk("index", index), *(each for part in parts for each in part.chunks)],
    )
    write_bytes_atomically(path, content)


def _part(run: Run, number: int, row: ReportRow) -> _Part:
    adjusted = run.suite.adjusted if run.suite else {}
    commit = run.facts.origin.commit
    now = {"started": run.facts.started, "commit": commit[:10] if commit else None}
    told = row_details(row, adjusted, run.trends.get((row.task, row.metric), ())) | {"now": now}
    record = run.record(row)
    if record is None:
        return _Part(chunks=(chunk(f"task-{number}", told),), documents=0, members=())
    return _with_documents(number, told, record)


def _with_documents(number: int, told: dict[str, object], record: TaskRecord) -> _Part:
    result, pairs = record.result, record.pairs
    higher = higher_is_better(record)
    found = account(pairs, record.row.metric, higher) if pairs else None
    more = document_details(found, margin_histogram(result.items, pairs), result.settings)
    chunks = [chunk(f"task-{number}", told | more)]
    if result.items:
        measure = found.measure if found else measure_of(record, pairs)
        chunks.append(chunk(f"documents-{number}", columns(result.items, pairs, measure, found)))
    return _Part(chunks=tuple(chunks), documents=len(result.items), members=result.members)
