"""The results file: everything about a run for other programs, JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from pytest_lmeval.baselines.files import write_atomically
from pytest_lmeval.report.rows import ReportRow, without_non_finite
from pytest_lmeval.runs.run import Run

SCHEMA_VERSION = 1


def write_json(path: Path, run: Run) -> None:
    """Write the results file: ``schema``, the ``run``'s facts, and its rows by node id.

    Floats are written as they are; not-a-number and infinities, which JSON lacks, as null.
    """
    content = {
        "schema": SCHEMA_VERSION,
        "run": _run(run),
        "results": [_row(row) for row in sorted(run.rows, key=lambda row: (row.nodeid, row.model))],
    }
    write_atomically(path, json.dumps(content, indent=2, sort_keys=True, allow_nan=False) + "\n")


def _run(run: Run) -> dict[str, Any]:
    facts = run.facts.to_json()
    options = facts.pop("options")
    suite = None if run.suite is None else run.suite.to_json()
    data: dict[str, Any] = without_non_finite({**options, **facts, "suite": suite})
    return data


def _row(row: ReportRow) -> dict[str, Any]:
    metrics = [{**_fields(metric), "key": metric.key} for metric in row.metrics]
    findings = [asdict(finding) for finding in row.findings]
    bounds = [asdict(bound) for bound in row.bounds]
    data: dict[str, Any] = without_non_finite(
        {**_fields(row), "metrics": metrics, "findings": findings, "bounds": bounds}
    )
    return data


def _fields(value: Any) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in fields(value)}
