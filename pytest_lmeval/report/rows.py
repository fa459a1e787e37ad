"""One line of a report: what is known of one evaluated task, small enough to travel between processes."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from pytest_lmeval.baselines.format import read_metric
from pytest_lmeval.baselines.plain import Fields, plain, write_number
from pytest_lmeval.baselines.provenance import source_told
from pytest_lmeval.gate.settings import Rules
from pytest_lmeval.gate.verdict import Status, Verdict, warnings_of
from pytest_lmeval.report.bounds import Bound
from pytest_lmeval.report.findings import Finding, finding
from pytest_lmeval.results import MetricValue, TaskResult, TaskSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRow:
    """A task's result and verdict.

    ``metric`` is the one that decided the verdict, else the task's main one. ``value``, ``stderr``, ``baseline`` and
    ``difference`` are of that metric, in its own unit; ``baseline`` and ``difference`` are over the documents that
    were compared, None where there was no comparison. So are the flips, 0 where documents are not right or wrong.
    ``verdict`` is a Status's value, ``reason`` its first reason or "". ``members`` is 0 but for groups, whose
    documents are counted in their members' rows. ``warnings`` say what the numbers do not: documents not scored.
    ``alias`` is the name that the task file wants shown, kept for other programs: what is shown here can be selected.
    ``findings`` are the gated metrics that were compared, ``notes`` the verdict's reasons where it passed and yet there
    is something to say. ``errors`` counts documents without an answer. ``margins_moved`` is the mean size by which gold
    margins differ from the baseline's, as a share of their spread; None where there are none.

    ``bounds`` are the task's thresholds, ``source`` tells in one line what the baseline is, None where there was none.
    ``explanation`` is what a person is told of a result that failed or that has something to say, ``file`` and ``line``
    (from 1) are where the item stands. ``leaves`` are the tasks of a group. ``samples`` is the file of its documents
    below the run's folder, None where none were kept. ``settings`` is a digest of what determined the questions: equal
    ones were asked the same.
    """

    nodeid: str
    task: str
    model: str
    n: int
    total: int
    members: int
    metric: str
    value: float
    stderr: float | None
    baseline: float | None
    difference: float | None
    flips_regressed: int
    flips_improved: int
    verdict: str
    passed: bool
    reason: str
    seconds: float
    tokens: int
    metrics: tuple[MetricValue, ...]
    warnings: tuple[str, ...] = ()
    alias: str | None = None
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    errors: int = 0
    margins_moved: float | None = None
    bounds: tuple[Bound, ...] = ()
    source: str | None = None
    explanation: str = ""
    file: str = ""
    line: int | None = None
    leaves: tuple[str, ...] = ()
    samples: str | None = None
    settings: str | None = None

    @property
    def finding(self) -> Finding | None:
        """What was found about the metric that is shown."""
        return next((finding for finding in self.findings if finding.metric == self.metric), None)

    def to_json(self) -> dict[str, Any]:
        """Reduce to plain values, numbers that JSON lacks as texts; it travels from xdist's workers."""
        row = {field.name: _plain(getattr(self, field.name)) for field in fields(self)}
        metrics = [_metric_to_json(metric) for metric in self.metrics]
        findings = [finding.to_json() for finding in self.findings]
        texts = {name: list(getattr(self, name)) for name in ("warnings", "notes", "leaves")}
        bounds = [bound.to_json() for bound in self.bounds]
        return {**row, "metrics": metrics, "findings": findings, "bounds": bounds, **texts}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ReportRow:
        """Restore from :meth:`to_json`. Raises ValueError for anything else."""
        row = Fields(dict(data), "row")
        return cls(
            nodeid=row.text("nodeid"),
            task=row.text("task"),
            model=row.text("model"),
            n=row.count("n"),
            total=row.count("total"),
            members=row.count("members"),
            metric=row.text("metric"),
            value=row.number("value"),
            stderr=row.optional_number("stderr"),
            baseline=row.optional_number("baseline"),
            difference=row.optional_number("difference"),
            flips_regressed=row.count("flips_regressed"),
            flips_improved=row.count("flips_improved"),
            verdict=row.text("verdict"),
            passed=row.flag("passed"),
            reason=row.text("reason"),
            seconds=row.number("seconds"),
            tokens=row.integer("tokens"),
            metrics=row.each("metrics", read_metric),
            warnings=row.texts("warnings"),
            alias=row.optional_text("alias"),
            findings=row.each("findings", Finding.from_json),
            notes=row.texts("notes"),
            errors=row.count("errors"),
            margins_moved=row.optional_number("margins_moved"),
            bounds=row.each("bounds", Bound.from_json),
            source=row.optional_text("source"),
            explanation=row.text("explanation"),
            file=row.text("file"),
            line=row.optional_count("line"),
            leaves=row.texts("leaves"),
            samples=row.optional_text("samples"),
            settings=row.optional_text("settings"),
        )


def report_row(
    result: TaskResult,
    verdict: Verdict,
    *,
    nodeid: str,
    model: str,
    rules: Rules | None = None,
    leaf_of: str | None = None,
) -> ReportRow:
    """Build the row of a judged result; ``model`` is the spec that the user gave, ``rules`` those it was judged by."""
    comparison = verdict.comparison
    decisions = comparison.decisions if comparison and rules else ()
    # What was stopped for harm failed, whatever its metrics say of the documents up to there.
    stopped = result.stopped is not None and verdict.status is Status.REGRESSED
    findings = tuple(finding(result.task, d, rules, leaf_of=leaf_of, failed=stopped) for d in decisions if rules)
    shown = result.metric(_decisive(verdict) or result.main_metric)
    evidence = comparison.of(shown.key) if comparison else None
    return ReportRow(
        nodeid=nodeid,
        task=result.task,
        model=model,
        n=result.n,
        total=result.total,
        members=len(result.members),
        metric=shown.key,
        value=shown.value,
        stderr=shown.stderr,
        baseline=evidence.baseline if evidence else None,
        difference=evidence.difference if evidence else None,
        flips_regressed=(evidence.regressed or 0) if evidence else 0,
        flips_improved=(evidence.improved or 0) if evidence else 0,
        verdict=verdict.status.value,
        passed=verdict.passed,
        reason=verdict.reasons[0] if verdict.reasons else "",
        seconds=result.seconds,
        tokens=result.tokens,
        metrics=result.metrics,
        warnings=result.warnings,
        alias=result.alias,
        findings=findings,
        notes=tuple(warnings_of(verdict)),
        errors=result.errors,
        margins_moved=comparison.drift.share if comparison and comparison.drift else None,
        bounds=tuple(Bound.of(check) for check in verdict.checks),
        source=None if comparison is None else source_told(comparison.baseline),
        settings=_digest(result.settings),
        leaves=result.members,
    )


def _digest(settings: TaskSettings) -> str:
    text = json.dumps(plain(asdict(settings)), sort_keys=True)
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:16]


def _decisive(verdict: Verdict) -> str | None:
    """Name the metric that a verdict other than a plain pass is about."""
    if verdict.status is Status.BELOW_THRESHOLD:
        return next(check.metric for check in verdict.checks if not check.passed)
    decisions = verdict.comparison.decisions if verdict.comparison else ()
    return next((decision.metric for decision in decisions if decision.outcome.value == verdict.status.value), None)


def without_non_finite(value: Any) -> Any:
    """Replace numbers that JSON lacks by None, for readers that know only JSON."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): without_non_finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [without_non_finite(part) for part in value]
    return value if value is None or isinstance(value, str | int) else str(value)


def _metric_to_json(metric: MetricValue) -> dict[str, Any]:
    return {field.name: _plain(getattr(metric, field.name)) for field in fields(metric)}


def _plain(value: Any) -> Any:
    return write_number(value) if isinstance(value, float) else value
