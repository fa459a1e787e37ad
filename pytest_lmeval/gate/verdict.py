"""The verdict on one task, with its reasons."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from pytest_lmeval.baselines.record import Baseline
from pytest_lmeval.gate.comparison import Comparison, MetricChange, compare
from pytest_lmeval.gate.numbers import format_distance, format_value
from pytest_lmeval.gate.policy import ModelPolicy
from pytest_lmeval.gate.settings import Mode
from pytest_lmeval.gate.thresholds import ThresholdCheck, check_thresholds
from pytest_lmeval.results import TaskResult


class Status(StrEnum):
    """What became of a task."""

    PASS = "pass"
    BELOW_THRESHOLD = "below-threshold"
    REGRESSED = "regressed"
    IMPROVED = "improved"
    INCOMPARABLE = "incomparable"
    NO_BASELINE = "no-baseline"
    RECORDED = "recorded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """``reasons`` are sentences, the decisive one first. ``checks`` are the absolute thresholds."""

    status: Status
    passed: bool
    reasons: tuple[str, ...]
    checks: tuple[ThresholdCheck, ...] = ()
    comparison: Comparison | None = None

    @property
    def is_error(self) -> bool:
        """Whether this says nothing about quality: raise BaselineError for it, not QualityError."""
        return not self.passed and self.status in (Status.INCOMPARABLE, Status.NO_BASELINE)

    @property
    def keeps_baseline(self) -> bool:
        """Whether the recorded baseline still holds, so that an update leaves it alone."""
        return self.comparison is not None and self.comparison.holds


def judge(result: TaskResult, policy: ModelPolicy, baseline: Baseline | None, *, require_baseline: bool) -> Verdict:
    """Judge a result by thresholds and baseline. Raises UserError for a metric the task does not have.

    Without a baseline a task passes, unless one is required: a fresh checkout that lost its baselines must
    not be green. With ``mode: off`` the baseline is not looked at.
    """
    policy = policy.for_scoring(result.settings.scoring)
    checks = check_thresholds(result, policy)
    failed = tuple(f"{check}" for check in checks if not check.passed)
    if policy.settings.mode is Mode.OFF:
        comparison, compared = None, Verdict(status=Status.PASS, passed=True, reasons=())
    elif baseline is None:
        comparison, compared = None, _without_baseline(require_baseline)
    else:
        comparison = compare(result, baseline, policy)
        compared = _compared(comparison)
    if failed and not compared.is_error:
        compared = Verdict(status=Status.BELOW_THRESHOLD, passed=False, reasons=(*failed, *compared.reasons))
    elif failed:
        compared = replace(compared, reasons=(*compared.reasons, *failed))
    return replace(compared, checks=checks, comparison=comparison)


def recorded(verdict: Verdict) -> Verdict:
    """Turn a verdict into that after its result became the baseline.

    A threshold still fails: recording accepts a difference from the past, not a broken promise.
    """
    if failed := tuple(f"{check}" for check in verdict.checks if not check.passed):
        reasons = (*failed, "the baseline was recorded all the same")
        return replace(verdict, status=Status.BELOW_THRESHOLD, passed=False, reasons=reasons)
    return replace(verdict, status=Status.RECORDED, passed=True, reasons=("the baseline was recorded",))


def _without_baseline(required: bool) -> Verdict:
    reason = (
        "there is no baseline, and one is required here (CI): record it on your machine with "
        "--lm-update-baseline and commit the file"
        if required
        else "there is no baseline to compare with; record one with --lm-update-baseline"
    )
    return Verdict(status=Status.NO_BASELINE, passed=not required, reasons=(reason,))


def _compared(comparison: Comparison) -> Verdict:
    notes = tuple(_notes(comparison))
    if comparison.changed:
        reason = f"the baseline was made with other {_series(comparison)}"
        return Verdict(status=Status.INCOMPARABLE, passed=False, reasons=(reason,))
    worse = tuple(_sentence(change, comparison) for change in comparison.worse)
    better = tuple(_sentence(change, comparison) for change in comparison.better)
    if worse:
        return Verdict(status=Status.REGRESSED, passed=False, reasons=(*worse, *better, *notes))
    if better:
        hint = "record the better baseline with --lm-update-baseline"
        return Verdict(status=Status.IMPROVED, passed=True, reasons=(*better, hint, *notes))
    return Verdict(status=Status.PASS, passed=True, reasons=notes)


def _series(comparison: Comparison) -> str:
    return "; ".join(str(change) for change in comparison.changed)


def _sentence(change: MetricChange, comparison: Comparison) -> str:
    verb = "rose" if change.difference > 0 else "fell"
    like = change.baseline
    distance = format_distance(abs(change.difference), fraction=change.fraction, like=like)
    tolerance = format_distance(change.tolerance, fraction=change.fraction, like=like)
    return (
        f"{change.metric} {verb} by {distance}, from {format_value(change.baseline)} "
        f"to {format_value(change.value)} (tolerance {tolerance}, baseline of {comparison.created})"
    )


def _notes(comparison: Comparison) -> Iterator[str]:
    if comparison.paired < max(comparison.n_now, comparison.n_then):
        yield (
            f"compared on the {comparison.paired:,} documents that this run ({comparison.n_now:,}) "
            f"and the baseline ({comparison.n_then:,}) share"
        )
    if comparison.uncompared:
        yield f"not compared: {', '.join(comparison.uncompared)}"
