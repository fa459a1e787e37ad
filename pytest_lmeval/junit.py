"""What JUnit files show: of a test case plain values, since they travel from xdist's workers, and of the whole run."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from pytest_lmeval.baselines.record import digests
from pytest_lmeval.gate.verdict import Verdict
from pytest_lmeval.report.escaping import printable
from pytest_lmeval.report.rows import ReportRow
from pytest_lmeval.results import TaskResult
from pytest_lmeval.runs.run import Run, RunFacts

Value = str | int | float

_LONGEST = 1_000
_ORIGIN = ("commit", "branch", "url", "change")
_OPTIONS = ("seed", "limit", "num_fewshot")


def properties(
    row: ReportRow, verdict: Verdict, result: TaskResult, *, model: Mapping[str, Any], baseline: Path | None = None
) -> dict[str, Value]:
    """Name the facts of a judged result; distances and values in the metric's own unit.

    ``model`` are the fields of ModelInfo, ``baseline`` the baseline's file where it has one.
    """
    main = result.metric(result.main_metric)
    facts: dict[str, Value | None] = {
        "task": result.task,
        "metric": main.key,
        "score": main.value,
        "stderr": main.stderr,
        "n": result.n,
        "tokens": result.tokens,
        "verdict": "error" if row.verdict == "error" else verdict.status.value,
        "reason": row.reason or "; ".join(row.notes),
        "errors": result.errors or None,
        "model": row.model,
        "revision": model.get("revision"),
        "backend": model.get("backend"),
        "task_hash": result.settings.task_hash,
        "prompt_hash": digests(result.items).prompts if result.items else None,
        "baseline_source": row.source,
        "baseline_digest": _digest(baseline),
        **_compared(row),
    }
    return {name: _short(value) for name, value in facts.items() if value not in (None, "") and _is_plain(value)}


class JUnitPlugin:
    """Adds to the file what is known at a run's end. Registered in the process that writes it."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    # First, since one that raises keeps those after it from being called.
    @pytest.hookimpl(tryfirst=True)
    def pytest_lmeval_run_finished(self, run: Run) -> None:
        """Add the run's properties to its test suite."""
        # The fixture for it, record_testsuite_property, has no effect in xdist's workers.
        from _pytest.junitxml import xml_key

        xml = self._config.stash.get(xml_key, None)
        if xml is not None:
            for name, value in suite_properties(run).items():
                xml.add_global_property(f"lm.{name}", value)


def suite_properties(run: Run) -> dict[str, Value]:
    """Name the facts of a run: what answered, where, at what cost, and the verdict on all tasks together."""
    facts = {**_facts(run.facts), **_suite(run)}
    return {name: _short(value) for name, value in facts.items() if value not in (None, "") and _is_plain(value)}


def _facts(facts: RunFacts) -> dict[str, Any]:
    info = facts.answered.info if facts.answered is not None else {}
    usage = facts.answered.usage if facts.answered is not None else None
    origin = asdict(facts.origin)
    return {
        "run": facts.id,
        "model": facts.model,
        "against": facts.against,
        **{name: info.get(name) for name in ("backend", "revision", "dtype")},
        **{name: origin[name] for name in _ORIGIN},
        **{name: facts.options.get(name) for name in _OPTIONS},
        **({} if usage is None else asdict(usage)),
        **{f"environment.{name}": value for name, value in facts.environment.items()},
    }


def _suite(run: Run) -> dict[str, Any]:
    if run.suite is None:
        return {}
    return {
        "verdict": run.suite.status.value,
        "reason": " ".join(run.suite.sentences),
        # Known only now that every task has been: the test cases stand in the file already.
        **{f"p_adj.{printable(name)}": p for name, p in run.suite.adjusted.items()},
    }


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


def _digest(path: Path | None) -> str | None:
    """Digest a file as ``sha256sum`` does."""
    if path is None or not path.is_file():
        return None
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _short(value: Any) -> Value:
    # Lone surrogates cannot be sent between processes.
    return value if isinstance(value, int | float) else printable(" ".join(str(value).split()))[:_LONGEST]


def _is_plain(value: object) -> bool:
    # JUnit readers know no infinities.
    return not isinstance(value, float) or math.isfinite(value)
