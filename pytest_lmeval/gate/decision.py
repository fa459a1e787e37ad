"""The verdict machine: from one metric's evidence, and the rules, to what that means.

In this order: shown to be worse, and not shown to be within the margin: REGRESSED. Shown to be worse, and shown to be
within the margin: REGRESSED_WITHIN_MARGIN. Shown to be within the margin: PASS, or IMPROVED where it is shown to be
better. Otherwise INCONCLUSIVE, which is a pass with a margin of 0: nothing can show that a model is not the least bit
worse.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from pytest_lmeval.gate.evidence import Evidence
from pytest_lmeval.gate.settings import Consequence, Mode, Rules
from pytest_lmeval.gate.statistics.binary import METHOD as BINARY
from pytest_lmeval.gate.statistics.combining import POOLED
from pytest_lmeval.gate.statistics.estimate import Estimate
from pytest_lmeval.gate.statistics.power import noninferiority_power
from pytest_lmeval.gate.statistics.sequential import combined_p

# A drop of exactly the smallest effect is one: 0.42 - 0.415 is 0.0050000000000000044.
_SLACK = 1e-12


class Outcome(StrEnum):
    """What a comparison of one metric found."""

    PASS = "pass"
    IMPROVED = "improved"
    REGRESSED = "regressed"
    REGRESSED_WITHIN_MARGIN = "regressed-within-margin"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One metric's outcome.

    ``margin`` and ``min_effect`` are in the metric's unit. ``p`` is the p-value of being worse with the looks during
    the run paid for, ``alpha`` what it had to be below. ``bounded`` tells that the outcome does not depend on documents
    without an answer.
    """

    evidence: Evidence
    outcome: Outcome
    failed: bool
    warned: bool
    margin: float
    min_effect: float
    p: float
    alpha: float
    bounded: bool = True

    @property
    def metric(self) -> str:
        """The metric's key."""
        return self.evidence.metric

    @property
    def blind(self) -> bool:
        """Whether a drop as large as the margin would more likely than not go unseen."""
        return 0 < self.margin < self.evidence.detectable


def decide(
    evidence: Evidence,
    rules: Rules,
    *,
    family: int,
    margin: float,
    looks: float | None = None,
    identical: bool = False,
) -> Decision:
    """Decide on one metric among ``family`` that can fail the run.

    ``looks`` is the anytime-valid p-value of what was watched during the run, None where nothing was. ``identical``
    answers pass, however few: no document says that anything is worse.
    """
    alpha = rules.alpha / family
    min_effect = rules.min_effect.of(evidence.baseline)

    def outcome(estimate: Estimate) -> Outcome:
        p = weighed(estimate.p_worse, looks)
        return _outcome(estimate, p, alpha=alpha, margin=margin, min_effect=min_effect)

    found = outcome(evidence.estimate)
    bounded = _holds(evidence, found, outcome)
    if not bounded:
        found = Outcome.INCONCLUSIVE
    elif identical and found is Outcome.INCONCLUSIVE:
        found = Outcome.PASS
    consequence = _consequence(found, evidence, rules, alpha=alpha, margin=margin)
    return Decision(
        evidence=evidence,
        outcome=found,
        failed=consequence is Consequence.FAIL,
        warned=consequence is Consequence.WARN,
        margin=margin,
        min_effect=min_effect,
        p=weighed(evidence.estimate.p_worse, looks),
        alpha=alpha,
        bounded=bounded,
    )


def weighed(p_final: float, p_looks: float | None) -> float:
    """Combine the final test with the looks before it, four parts of the rate to one (weighted Bonferroni)."""
    return p_final if p_looks is None else combined_p(p_final, p_looks)


def _outcome(estimate: Estimate, p: float, *, alpha: float, margin: float, min_effect: float) -> Outcome:
    within = estimate.lower > -margin
    worse = p <= alpha and -estimate.difference >= min_effect - _SLACK and estimate.difference < 0
    if worse:
        return Outcome.REGRESSED_WITHIN_MARGIN if within else Outcome.REGRESSED
    if within or margin == 0:
        better = estimate.p_better < alpha and estimate.difference >= min_effect - _SLACK
        return Outcome.IMPROVED if better else Outcome.PASS
    return Outcome.INCONCLUSIVE


_GOOD = (Outcome.PASS, Outcome.IMPROVED, Outcome.REGRESSED_WITHIN_MARGIN)


def _holds(evidence: Evidence, found: Outcome, outcome: Callable[[Estimate], Outcome]) -> bool:
    """Whether the outcome stands with every missing document wrong as it does with every one right."""
    if not evidence.missing:
        return True
    if evidence.worst is None or evidence.best is None:
        return False
    cases = [outcome(bound) for bound in (evidence.worst, evidence.best)]
    return all(case is found or {case, found} <= set(_GOOD) for case in cases)


def _consequence(found: Outcome, evidence: Evidence, rules: Rules, *, alpha: float, margin: float) -> Consequence:
    if found is Outcome.REGRESSED:
        return Consequence.FAIL
    if found is Outcome.REGRESSED_WITHIN_MARGIN:
        return Consequence.WARN
    if found is not Outcome.INCONCLUSIVE:
        return Consequence.PASS
    if rules.on_inconclusive is not Consequence.AUTO:
        return rules.on_inconclusive
    return Consequence.FAIL if _suffices(evidence, rules, alpha=alpha, margin=margin) else Consequence.WARN


def _suffices(evidence: Evidence, rules: Rules, *, alpha: float, margin: float) -> bool:
    """Whether an equal model would have been shown to be harmless, but for one run in 1 / ``alpha``.

    Else a failure would say more of the number of documents than of the model.
    """
    estimate = evidence.estimate
    if margin <= 0:
        return False
    if estimate.method in (BINARY, POOLED) and evidence.regressed is not None and evidence.improved is not None:
        flips = evidence.regressed + evidence.improved
        return noninferiority_power(flips, estimate.n, margin, alpha=bound_level(rules)) >= 1 - alpha
    if estimate.stderr is None:
        return False
    from scipy.special import ndtri

    # An equal model's bound is as far below its difference as this one's.
    return estimate.difference - estimate.lower - float(ndtri(alpha)) * estimate.stderr <= margin


def bound_level(rules: Rules) -> float:
    """The level of the bound that is compared with the margin: to show harmlessness is the test itself there."""
    return rules.alpha if rules.mode is Mode.NONINFERIORITY else rules.alpha_warn
