"""The results file: everything about a run for other programs, JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from pytest_lmeval.baselines.files import write_atomically
from pytest_lmeval.report.rows import ReportRow, without_non_finite

SCHEMA_VERSION = 1


def write_json(path: Path, rows: Iterable[ReportRow], run: Mapping[str, Any]) -> None:
    """Write the results file: ``schema``, the ``run``'s facts, and the rows by node id.

    Floats are written as they are; not-a-number and infinities, which JSON lacks, as null.
    """
    content = {
        "schema": SCHEMA_VERSION,
        "run": without_non_finite(run),
        "results": [_row(row) for row in sorted(rows, key=lambda row: (row.nodeid, row.model))],
    }
    write_atomically(path, json.dumps(content, indent=2, sort_keys=True, allow_nan=False) + "\n")


def _row(row: ReportRow) -> dict[str, Any]:
    metrics = [{**_fields(metric), "key": metric.key} for metric in row.metrics]
    findings = [asdict(finding) for finding in row.findings]
    data: dict[str, Any] = without_non_finite({**_fields(row), "metrics": metrics, "findings": findings})
    return data


def _fields(value: Any) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in fields(value)}
