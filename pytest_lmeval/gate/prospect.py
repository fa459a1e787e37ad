"""What is known of a comparison before the run: its margin, its error rate, and how many documents will flip."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_lmeval.baselines.record import Baseline
from pytest_lmeval.gate.flip_rates import FlipRate, expected_flip_rate
from pytest_lmeval.gate.margin import Margin, Unit
from pytest_lmeval.gate.numbers import is_fraction
from pytest_lmeval.gate.policy import ModelPolicy
from pytest_lmeval.gate.settings import Rules
from pytest_lmeval.gate.sight import Need, Sight, sight

_UNPAIRED = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Prospect:
    """``alpha`` is the error rate of the test that decides; ``margin`` (0 to 1) None where only a baseline tells it."""

    alpha: float
    flip_rate: FlipRate
    margin: float | None

    def sight(self, documents: int) -> Sight:
        """Tell what that many documents show; without a known margin, none is missed."""
        return sight(documents, self.flip_rate.value, alpha=self.alpha, margin=self.margin or 0.0)

    def need(self, drop: float) -> Need:
        """Tell what it takes to see a drop (0 to 1)."""
        return Need(drop=drop, flip_rate=self.flip_rate.value, alpha=self.alpha)


def prospect(
    policy: ModelPolicy, baseline: Baseline | None, *, family: int, main: str, paired: bool = True
) -> Prospect:
    """Look ahead to a comparison under ``policy``, one of ``family`` in the run.

    ``main`` names the metric that is compared where no baseline does. What is not ``paired`` with documents of its
    baseline is as uncertain as if half of them flipped: two independent accuracies differ with a variance of at most
    two quarters.
    """
    rules = policy.settings
    return Prospect(
        alpha=decisive_alpha(rules, family),
        flip_rate=_flip_rate(rules.preset, baseline) if paired else FlipRate(_UNPAIRED, calibrated=False),
        margin=_margin(policy, baseline, main),
    )


def _flip_rate(preset: str, baseline: Baseline | None) -> FlipRate:
    noise = baseline.noise if baseline is not None else None
    return expected_flip_rate(preset) if noise is None else expected_flip_rate(preset, noise.flips, noise.n)


def decisive_alpha(rules: Rules, family: int) -> float:
    """Return the error rate at which harm to one task is claimed: Bonferroni's, the first step of Holm's procedure."""
    return rules.alpha / max(1, family)


def _margin(policy: ModelPolicy, baseline: Baseline | None, main: str) -> float | None:
    metric = baseline.metric(baseline.main_metric) if baseline is not None else None
    key = metric.key if metric is not None else main
    rule = policy.rules.get(key) or policy.rules.get(key.partition(",")[0])
    margin = rule.margin if rule is not None and rule.margin is not None else policy.settings.margin
    return _as_share(margin, None if metric is None else metric.value)


def _as_share(margin: Margin, value: float | None) -> float | None:
    """Put a margin on the scale from 0 to 1; a point is a hundredth of whatever scale."""
    if margin.unit is Unit.POINTS:
        return margin.number / 100
    if value is None:
        return margin.number if margin.unit is Unit.OWN and is_fraction(margin.number) else None
    return margin.of(value) if is_fraction(value) else None
