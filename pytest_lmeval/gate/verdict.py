"""The verdict on one task, with its reasons."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from pytest_lmeval.baselines.record import Baseline
from pytest_lmeval.gate.against_published import compare_published
from pytest_lmeval.gate.comparison import Comparison, Context, compare, gated_metrics
from pytest_lmeval.gate.decision import Decision, Outcome
from pytest_lmeval.gate.groups import compare_group
from pytest_lmeval.gate.missing import too_many_errors
from pytest_lmeval.gate.monitor import Stop, StopKind
from pytest_lmeval.gate.policy import ModelPolicy
from pytest_lmeval.gate.settings import Consequence, Mode
from pytest_lmeval.gate.telling import changes_told, decision_told, drift_beside, drift_told, notes_told
from pytest_lmeval.gate.thresholds import ThresholdCheck, check_thresholds, find_metric
from pytest_lmeval.results import TaskResult


class Status(StrEnum):
    """What became of a task, the worst first where several hold."""

    ERROR = "error"
    INCOMPARABLE = "incomparable"
    BELOW_THRESHOLD = "below-threshold"
    REGRESSED = "regressed"
    DRIFT = "drift"
    INCONCLUSIVE = "inconclusive"
    REGRESSED_WITHIN_MARGIN = "regressed-within-margin"
    NO_BASELINE = "no-baseline"
    RECORDED = "recorded"
    IMPROVED = "improved"
    PASS = "pass"


# These say nothing about quality.
_ERRORS = (Status.ERROR, Status.INCOMPARABLE, Status.NO_BASELINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """``reasons`` are sentences, the decisive one first. ``checks`` are the absolute thresholds.

    ``gated`` is False for a leaf whose group decides in its place: such a verdict is reported and passes.
    """

    status: Status
    passed: bool
    reasons: tuple[str, ...]
    checks: tuple[ThresholdCheck, ...] = ()
    comparison: Comparison | None = None
    gated: bool = True

    @property
    def is_error(self) -> bool:
        """Whether this says nothing about quality: raise BaselineError or BackendError for it, not QualityError."""
        return not self.passed and self.status in _ERRORS

    @property
    def keeps_baseline(self) -> bool:
        """Whether the recorded baseline still describes the run, so that recording again would only be noise."""
        comparison = self.comparison
        if comparison is None or comparison.changed or comparison.gained:
            return False
        moved = (Outcome.REGRESSED, Outcome.REGRESSED_WITHIN_MARGIN, Outcome.IMPROVED)
        drifted = comparison.drift is not None and comparison.drift.moved
        return not drifted and all(decision.outcome not in moved for decision in comparison.decisions)

    @property
    def lowered(self) -> tuple[str, ...]:
        """The gated metrics whose value is worse than the baseline's, however little, and be it of other questions."""
        if self.comparison is None:
            return ()
        decisions = self.comparison.decisions
        fell = (decision.metric for decision in decisions if decision.evidence.estimate.difference < 0)
        return (*fell, *self.comparison.lower)


def judge(
    result: TaskResult,
    policy: ModelPolicy,
    baseline: Baseline | None,
    *,
    require_baseline: bool,
    context: Context | None = None,
) -> Verdict:
    """Judge a result by thresholds and baseline. Raises UserError for a metric the task does not have.

    Without a baseline a task passes, unless one is required: a fresh checkout that lost its baselines must
    not be green. With ``mode: off`` the baseline is not looked at.
    """
    policy = policy.for_scoring(result.settings.scoring)
    rules = policy.settings
    checks = check_thresholds(result, policy)
    if broken := _broken(result, policy):
        return Verdict(status=Status.ERROR, passed=False, reasons=(broken,), checks=checks)
    comparison = None
    if rules.mode is Mode.OFF:
        compared = Verdict(status=Status.PASS, passed=True, reasons=())
    elif baseline is None:
        compared = _without_baseline(require_baseline)
    else:
        of = compare if baseline.published is None else compare_published
        comparison = of(result, baseline, policy, context or Context())
        compared = compared_verdict(comparison, policy)
    if context is not None and context.stop is not None and not compared.is_error:
        compared = _stopped(compared, context.stop)
    return replace(with_thresholds(compared, checks), comparison=comparison)


def judge_group(
    result: TaskResult,
    policy: ModelPolicy,
    baselines: Mapping[str, Baseline],
    *,
    require_baseline: bool,
    context: Context | None = None,
) -> Verdict:
    """Judge a group's aggregate by the baselines of its tasks, by their names; raises and passes as :func:`judge`."""
    lacking = [leaf.task for leaf in result.leaves if leaf.task not in baselines]
    if lacking or not baselines:
        return judge(result, policy, None, require_baseline=require_baseline, context=context)
    policy = policy.for_scoring(result.settings.scoring)
    checks = check_thresholds(result, policy)
    if broken := _broken(result, policy):
        return Verdict(status=Status.ERROR, passed=False, reasons=(broken,), checks=checks)
    comparison = compare_group(result, baselines, policy, context or Context())
    return replace(with_thresholds(compared_verdict(comparison, policy), checks), comparison=comparison)


def _stopped(verdict: Verdict, stop: Stop) -> Verdict:
    """Let what ended the run early decide: by then it was certain, and the scores are of a part of the documents."""
    told = f"stopped {stop}"
    if stop.kind is StopKind.SETTLED:
        return replace(verdict, reasons=(*verdict.reasons, told))
    return replace(verdict, status=Status.REGRESSED, passed=False, reasons=(told, *verdict.reasons))


def _broken(result: TaskResult, policy: ModelPolicy) -> str | None:
    if told := too_many_errors(result, policy.settings.max_error_rate):
        return told
    for key in gated_metrics(result, policy):
        if math.isnan(find_metric(result, key).value):
            return f"{key} is not a number: the model, its engine or the task's metric is broken"
    return None


def with_thresholds(compared: Verdict, checks: tuple[ThresholdCheck, ...]) -> Verdict:
    """Let a broken threshold fail what the comparison passed; what cannot be compared stays an error."""
    failed = tuple(f"{check}" for check in checks if not check.passed)
    if failed and not compared.is_error:
        compared = replace(compared, status=Status.BELOW_THRESHOLD, passed=False, reasons=(*failed, *compared.reasons))
    elif failed:
        compared = replace(compared, reasons=(*compared.reasons, *failed))
    unsure = tuple(f"{check}" for check in checks if check.passed and check.unsure)
    return replace(compared, checks=checks, reasons=(*compared.reasons, *unsure))


def recorded(verdict: Verdict) -> Verdict:
    """Turn a verdict into that after its result became the baseline.

    A threshold still fails: recording accepts a difference from the past, not a broken promise.
    """
    if failed := tuple(f"{check}" for check in verdict.checks if not check.passed):
        reasons = (*failed, "the baseline was recorded all the same")
        return replace(verdict, status=Status.BELOW_THRESHOLD, passed=False, reasons=reasons)
    return replace(verdict, status=Status.RECORDED, passed=True, reasons=("the baseline was recorded",))


def reported_only(verdict: Verdict, group: str) -> Verdict:
    """Let the group of a leaf decide in its place. Thresholds of its own, and what cannot be compared, still count."""
    if verdict.is_error or verdict.status is Status.BELOW_THRESHOLD:
        return verdict
    note = f"reported only: its group {group} decides"
    return replace(verdict, passed=True, gated=False, reasons=(*verdict.reasons, note))


def _without_baseline(required: bool) -> Verdict:
    reason = (
        "there is no baseline, and one is required here (CI): record it on your machine with "
        "--lm-update-baseline and commit the file"
        if required
        else "there is no baseline to compare with; record one with --lm-update-baseline"
    )
    return Verdict(status=Status.NO_BASELINE, passed=not required, reasons=(reason,))


def compared_verdict(comparison: Comparison, policy: ModelPolicy) -> Verdict:
    """Turn a comparison into a verdict: the worst of its metrics', or what their margins say."""
    if comparison.changed:
        return Verdict(status=Status.INCOMPARABLE, passed=False, reasons=(changes_told(comparison),))
    decisions = sorted(comparison.decisions, key=_badness)
    worst = decisions[0]
    reasons = [decision_told(decision, comparison) for decision in decisions]
    failed = any(decision.failed for decision in decisions)
    moved = comparison.restless is not None or (comparison.drift is not None and comparison.drift.moved)
    if moved and policy.settings.on_drift in (Consequence.WARN, Consequence.FAIL):
        fails = policy.settings.on_drift is Consequence.FAIL
        # Margins alone are a drift; beside scores that moved for certain they are no news, unless they fail the task.
        if not failed and (fails or worst.outcome not in (Outcome.REGRESSED_WITHIN_MARGIN, Outcome.IMPROVED)):
            reasons = [drift_told(comparison), *reasons, *notes_told(comparison)]
            return Verdict(status=Status.DRIFT, passed=not fails, reasons=tuple(reasons))
        reasons.append(drift_beside(comparison))
    status = Status(worst.outcome.value)
    return Verdict(status=status, passed=not failed, reasons=(*reasons, *notes_told(comparison)))


_ORDER = (
    Outcome.REGRESSED,
    Outcome.INCONCLUSIVE,
    Outcome.REGRESSED_WITHIN_MARGIN,
    Outcome.IMPROVED,
    Outcome.PASS,
)


def _badness(decision: Decision) -> tuple[bool, int]:
    return not decision.failed, _ORDER.index(decision.outcome)


def warnings_of(verdict: Verdict) -> Iterator[str]:
    """What is worth a yellow line although the test passes."""
    if verdict.passed and verdict.status in (
        Status.DRIFT,
        Status.INCONCLUSIVE,
        Status.REGRESSED_WITHIN_MARGIN,
    ):
        yield verdict.reasons[0]
