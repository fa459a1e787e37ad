"""What the page shows of one task above its documents: numbers spelled for people, and what charts are drawn of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from pytest_lmeval.baselines.plain import plain
from pytest_lmeval.gate.causes.account import Account
from pytest_lmeval.gate.causes.slices import Slice
from pytest_lmeval.gate.numbers import format_distance, format_value
from pytest_lmeval.history.points import TrendPoint
from pytest_lmeval.report.findings import Finding
from pytest_lmeval.report.html.histogram import Histogram
from pytest_lmeval.report.html.verdicts import badge_of
from pytest_lmeval.report.rows import ReportRow
from pytest_lmeval.results import MetricValue, TaskSettings

_SLICES = 200
_Z = 1.96
NOTHING = "\N{EN DASH}"


def row_details(row: ReportRow, adjusted: Mapping[str, float], trends: Sequence[TrendPoint]) -> dict[str, Any]:
    """Reduce a row to plain values; ``adjusted`` are the p-values of the verdict on the run."""
    badge = badge_of(row.verdict, passed=row.passed)
    return {
        "task": row.task,
        "nodeid": row.nodeid,
        "place": f"{row.file}:{row.line}" if row.line else row.file,
        "badge": {"word": badge.word, "tone": badge.tone, "sign": badge.sign},
        "reason": row.reason,
        "explanation": row.explanation,
        "warnings": [text for text in (*row.notes, *row.warnings) if text != row.reason],
        "source": row.source,
        "metric": row.metric,
        "members": row.members,
        "facts": _facts(row),
        "metrics": [_metric(row, metric, adjusted) for metric in row.metrics],
        "score": plain(_score(row)),
        "trend": plain(_trend(row, trends)),
    }


def document_details(account: Account | None, histogram: Histogram | None, settings: TaskSettings) -> dict[str, Any]:
    """Reduce what is known from the documents."""
    told = {"settings": _settings(settings), "histogram": None if histogram is None else plain(asdict(histogram))}
    return told | {"account": None if account is None else _account(account)}


def told_difference(finding: Finding) -> str:
    """Spell a difference: in points for accuracies, else in the metric's unit."""
    if finding.fraction:
        return f"{100 * finding.difference:+.1f}"
    return format_value(finding.difference, signed=True, like=finding.value)


def told_interval(finding: Finding) -> str:
    """Spell the 95 % interval of a difference."""
    if finding.fraction:
        return f"[{100 * finding.low:+.1f}, {100 * finding.high:+.1f}]"
    low, high = (format_value(end, signed=True, like=finding.value) for end in (finding.low, finding.high))
    return f"[{low}, {high}]"


def told_probability(p: float | None) -> str:
    """Spell a p-value."""
    if p is None:
        return NOTHING
    return f"{p:.3f}" if p >= 0.001 else "< 0.001"


def _facts(row: ReportRow) -> list[tuple[str, str]]:
    asked = f"{row.n:,}" if row.n == row.total else f"{row.n:,} of {row.total:,}"
    facts = [("documents", asked), ("tokens", f"{row.tokens:,}"), ("time", f"{row.seconds:,.1f} s")]
    if row.errors:
        facts.insert(1, ("without an answer", f"{row.errors:,}"))
    if row.members:
        facts.insert(0, ("tasks", f"{row.members:,}"))
    return facts


def _settings(settings: TaskSettings) -> list[tuple[str, str]]:
    dataset = "/".join(part for part in (settings.dataset, settings.dataset_config, settings.split) if part)
    told = [("data", dataset), ("few-shot examples", f"{settings.num_fewshot}"), ("asked as", settings.output_type)]
    if settings.scoring:
        told.append(("scored by", settings.scoring))
    return [*told, ("task hash", settings.task_hash)]


def _metric(row: ReportRow, metric: MetricValue, adjusted: Mapping[str, float]) -> dict[str, Any]:
    found = next((finding for finding in row.findings if finding.metric == metric.key), None)
    stderr = "" if metric.stderr is None else f" ± {format_value(metric.stderr, like=metric.value)}"
    told: dict[str, Any] = {
        "name": metric.key,
        "decisive": metric.key == row.metric,
        "better": "higher" if metric.higher_is_better else "lower",
        "value": f"{format_value(metric.value)}{stderr}",
        "n": f"{metric.n:,}",
        "bounds": ", ".join(f"{b.bound} {b.limit:g}" for b in row.bounds if b.metric == metric.key) or NOTHING,
    }
    if found is None:
        return told | dict.fromkeys(("baseline", "difference", "interval", "detectable", "margin", "p"), NOTHING)
    return told | {
        "baseline": format_value(found.baseline),
        "difference": told_difference(found),
        "interval": told_interval(found),
        "detectable": _distance(found.detectable, found),
        "margin": _distance(found.tested.margin, found),
        "p": told_probability(adjusted.get(found.tested.name, found.tested.p)),
    }


def _distance(value: float, found: Finding) -> str:
    return f"{100 * value:.1f}" if found.fraction else format_value(value, like=found.value)


def _score(row: ReportRow) -> dict[str, Any] | None:
    """What is drawn of the shown metric: points with 95 % intervals, and thresholds."""
    if not row.metric:
        return None
    shown = next((metric for metric in row.metrics if metric.key == row.metric), None)
    found = row.finding
    stderr = None if shown is None else shown.stderr
    return {
        "metric": row.metric,
        "value": row.value,
        "low": None if stderr is None else row.value - _Z * stderr,
        "high": None if stderr is None else row.value + _Z * stderr,
        "told": format_value(row.value),
        "baseline": row.baseline,
        "baselineTold": None if row.baseline is None else format_value(row.baseline),
        "higher": shown is None or shown.higher_is_better,
        "margin": None if found is None else found.tested.margin,
        "bounds": [
            {"bound": b.bound, "limit": b.limit, "passed": b.passed, "told": f"{b.bound} {b.limit:g}"}
            for b in row.bounds
            if b.metric == row.metric
        ],
    }


def _trend(row: ReportRow, points: Sequence[TrendPoint]) -> list[dict[str, Any]]:
    return [
        {
            "run": point.run,
            "started": point.started,
            "value": point.value,
            "stderr": point.stderr,
            "told": format_value(point.value),
            "n": point.n,
            "word": (badge := badge_of(point.verdict, passed=True)).word,
            "tone": badge.tone,
            "commit": point.commit[:10] if point.commit else None,
        }
        for point in points
    ]


def _account(account: Account) -> dict[str, Any]:
    found = account.breakdown
    return {
        "measure": account.measure.key,
        "binary": account.measure.binary,
        "documents": account.documents,
        "regressed": account.regressed,
        "improved": account.improved,
        "unanswered": account.unanswered,
        "cause": account.cause,
        "slices": [_slice(part, account, part in found.outstanding) for part in found.slices[:_SLICES]],
        "moreSlices": max(0, len(found.slices) - _SLICES),
        "even": found.even,
        "leftOut": found.left_out,
    }


def _slice(part: Slice, account: Account, outstanding: bool) -> dict[str, Any]:
    fraction = account.measure.fraction
    told = format_distance(part.difference, fraction=fraction, like=part.difference, signed=True)
    return {
        "facet": part.facet,
        "value": part.value,
        "n": part.n,
        "regressed": part.regressed,
        "improved": part.improved,
        "difference": part.difference,
        "told": told.removesuffix(" points"),
        "rest": part.rest,
        "q": told_probability(part.q),
        "outstanding": outstanding,
    }
