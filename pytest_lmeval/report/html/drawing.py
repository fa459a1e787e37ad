"""The overview's drawings: a score on its scale, and a difference with its interval beside zero and the margin."""

from __future__ import annotations

import math
from collections.abc import Iterable
from statistics import median

from pytest_lmeval.report.bounds import Bound
from pytest_lmeval.report.findings import Finding
from pytest_lmeval.report.html.text import shown
from pytest_lmeval.report.rows import ReportRow

_Z = 1.96
_WIDTH, _HEIGHT, _PAD = 200, 24, 8
# A task that lost everything would leave the others no room: what is beyond so many times the usual is an arrow.
_OUTLYING = 4
_STEPS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


def common_extent(findings: Iterable[Finding]) -> float:
    """Choose the end of the scale that all accuracies share, a round number."""
    reach = [_reach(finding) for finding in findings if finding.fraction]
    if not reach:
        return 0.0
    wanted = min(max(reach), _OUTLYING * median(reach))
    return next((step for step in _STEPS if step >= wanted), 1.0)


def draw_difference(finding: Finding, *, extent: float, higher: bool, tone: str, told: str) -> str:
    """Draw a difference; the shaded band reaches from zero to the margin, in the direction that is worse."""
    extent = extent if finding.fraction else _reach(finding) or 1.0
    low, high = (_place(end, extent) for end in (finding.low, finding.high))
    middle, zero = _place(finding.difference, extent), _place(0.0, extent)
    margin = finding.tested.margin if math.isfinite(finding.tested.margin) else 0.0
    edge = _place(-margin if higher else margin, extent)
    parts = [
        f'<rect class="band" x="{min(edge, zero):.1f}" y="2" width="{abs(zero - edge):.1f}" height="20"/>',
        f'<path class="zero" d="M{zero:.1f} 2V22"/>',
        f'<path class="whisker" d="M{low:.1f} 12H{high:.1f}M{low:.1f} 8V16M{high:.1f} 8V16"/>',
        *_arrows(finding, extent),
        f'<circle class="dot" cx="{middle:.1f}" cy="12" r="4"/>',
    ]
    return _svg("difference", tone, told, parts)


def draw_score(row: ReportRow, *, tone: str, told: str) -> str:
    """Draw a score between 0 and 1 with its 95 % interval, the baseline and the thresholds; "" for other scales."""
    if not 0 <= row.value <= 1:
        return ""
    bounds = [bound for bound in row.bounds if bound.metric == row.metric and 0 <= bound.limit <= 1]
    reach = _Z * (row.stderr if row.stderr is not None and math.isfinite(row.stderr) else 0.0)
    low, high = (_at(min(max(end, 0.0), 1.0)) for end in (row.value - reach, row.value + reach))
    value = _at(row.value)
    parts = [
        f'<path class="track" d="M{_at(0):.1f} 12H{_at(1):.1f}"/>',
        f'<path class="fill" d="M{_at(0):.1f} 12H{value:.1f}"/>',
        f'<path class="whisker" d="M{low:.1f} 12H{high:.1f}"/>' if reach else "",
        *(_bound(bound) for bound in bounds),
        _baseline(row.baseline),
        f'<circle class="dot" cx="{value:.1f}" cy="12" r="4"/>',
    ]
    return _svg("score", tone, told, parts)


def _svg(kind: str, tone: str, told: str, parts: Iterable[str]) -> str:
    label = shown(told)
    body = "".join(parts)
    return f'<svg class="{kind} {tone}" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{label}">{body}</svg>'


def _bound(bound: Bound) -> str:
    at = _at(bound.limit)
    inward = 4 if bound.bound == "min" else -4
    return f'<path class="bound" d="M{at + inward:.1f} 3H{at:.1f}V21H{at + inward:.1f}"/>'


def _baseline(value: float | None) -> str:
    if value is None or not 0 <= value <= 1:
        return ""
    return f'<path class="then" d="M{_at(value):.1f} 5V19"/>'


def _arrows(finding: Finding, extent: float) -> Iterable[str]:
    if finding.low < -extent:
        yield '<path class="arrow" d="M7 7L1 12L7 17Z"/>'
    if finding.high > extent:
        yield f'<path class="arrow" d="M{_WIDTH - 7} 7L{_WIDTH - 1} 12L{_WIDTH - 7} 17Z"/>'


def _reach(finding: Finding) -> float:
    ends = [abs(end) for end in (finding.low, finding.high, finding.tested.margin) if math.isfinite(end)]
    return max(ends, default=0.0)


def _place(value: float, extent: float) -> float:
    within = max(-1.0, min(1.0, 0.0 if math.isnan(value) else value / extent))
    return _WIDTH / 2 + within * (_WIDTH / 2 - _PAD)


def _at(value: float) -> float:
    return _PAD + value * (_WIDTH - 2 * _PAD)
