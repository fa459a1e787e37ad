"""What JUnit files show of a test case; plain values, since they also travel from xdist's workers."""

from __future__ import annotations

import math

from pytest_lmeval.gate.verdict import Verdict
from pytest_lmeval.report.rows import ReportRow
from pytest_lmeval.results import TaskResult

Value = str | int | float


def properties(row: ReportRow, verdict: Verdict, result: TaskResult) -> dict[str, Value]:
    """Name the facts of a judged result; distances and values in the metric's own unit."""
    main = result.metric(result.main_metric)
    facts: dict[str, Value | None] = {
        "task": result.task,
        "metric": main.key,
        "score": main.value,
        "stderr": main.stderr,
        "n": result.n,
        "tokens": result.tokens,
        "verdict": verdict.status.value,
        "errors": result.errors or None,
        **_compared(row),
    }
    return {name: value for name, value in facts.items() if value is not None and _is_plain(value)}


def _compared(row: ReportRow) -> dict[str, Value | None]:
    found = row.finding
    if found is None:
        return {}
    return {
        "baseline": found.baseline,
        "delta": found.difference,
        "ci_low": found.low,
        "ci_high": found.high,
        "p": found.tested.p,
        "mde": found.detectable,
        "flips_regressed": found.tested.regressed,
        "flips_improved": found.tested.improved,
    }


def _is_plain(value: Value) -> bool:
    # JUnit readers know no infinities.
    return not isinstance(value, float) or math.isfinite(value)
