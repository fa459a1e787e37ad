"""Comparisons without documents: of two values by their standard errors, or with a score that somebody published.

Both runs asked the same questions, which these cannot use. They see a small part of what the paired tests see, and
every verdict by them says so.
"""

from __future__ import annotations

import math

from pytest_lmeval.gate.detecting import POWER
from pytest_lmeval.gate.evidence import Evidence, Levels
from pytest_lmeval.gate.statistics.estimate import SHOWN_LEVEL, Estimate
from pytest_lmeval.gate.statistics.power import detectable_continuous
from pytest_lmeval.gate.statistics.unpaired import unpaired
from pytest_lmeval.results import MetricValue


def by_standard_errors(metric: MetricValue, then: MetricValue, levels: Levels) -> Evidence:
    """Compare two values by both standard errors, as if they were of different documents.

    Where a value has no standard error nothing can be said about chance: no drop is ever shown, nor ruled out.
    """
    sign = 1.0 if metric.higher_is_better else -1.0
    difference = sign * (metric.value - then.value)
    if metric.stderr is None or then.stderr is None:
        stderr, estimate = math.inf, _unknown(difference, metric.n)
    else:
        stderr = math.hypot(metric.stderr, then.stderr)
        estimate = _normal(difference, stderr, metric.n, levels.bound)
    return Evidence(
        metric=metric.key,
        baseline=then.value,
        value=metric.value,
        higher_is_better=metric.higher_is_better,
        estimate=estimate,
        detectable=_detectable(stderr, levels),
        paired=False,
    )


def _detectable(stderr: float, levels: Levels) -> float:
    return detectable_continuous(stderr, alpha=levels.alpha, power=POWER) if 0 < stderr < math.inf else stderr


def _unknown(difference: float, n: int) -> Estimate:
    return Estimate(
        method="none",
        n=n,
        difference=difference,
        stderr=None,
        p_worse=1.0,
        p_better=1.0,
        lower=-math.inf,
        low=-math.inf,
        high=math.inf,
        note="there is no test for such a metric: give it a threshold (min or max)",
    )


def _normal(difference: float, stderr: float, n: int, bound: float) -> Estimate:
    from scipy.stats import norm

    z = difference / stderr if stderr else math.copysign(math.inf, difference) if difference else 0.0
    half = float(norm.ppf(0.5 + SHOWN_LEVEL / 2)) * stderr
    return Estimate(
        method="standard_errors",
        n=n,
        difference=difference,
        stderr=stderr,
        p_worse=float(norm.cdf(z)),
        p_better=float(norm.sf(z)),
        lower=difference - float(norm.ppf(1 - bound)) * stderr,
        low=difference - half,
        high=difference + half,
        note="the documents of the two runs could not be paired: sees only large differences",
    )


def with_published(metric: MetricValue, reference: float, levels: Levels, *, n: int | None = None) -> Evidence:
    """Compare with a published score, of ``n`` documents where that is known, by the conservative unpaired rule."""
    estimate = unpaired(
        metric.value,
        reference,
        metric.n,
        sigma=None,
        alpha=levels.bound,
        higher_is_better=metric.higher_is_better,
        reference_n=n,
    )
    return Evidence(
        metric=metric.key,
        baseline=reference,
        value=metric.value,
        higher_is_better=metric.higher_is_better,
        estimate=estimate,
        detectable=_detectable(estimate.stderr or math.inf, levels),
        paired=False,
    )
