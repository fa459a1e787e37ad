"""How often the gate comes to each verdict: its own machine at the border of every outcome, sums over all others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.stats import binom

from pytest_lmeval.gate.decision import Decision, Outcome, bound_level, decide
from pytest_lmeval.gate.evidence import Evidence
from pytest_lmeval.gate.settings import Layer, Rules, resolve
from pytest_lmeval.gate.statistics.binary import mcnemar
from pytest_lmeval.gate.statistics.estimate import Estimate

#: The share of right answers of the baseline; margins in points do not depend on it.
BASELINE = 0.6
# Numbers of changes beyond these quantiles are left out.
_TAIL = 1e-10
# Of a fixed number of changes, the more are for the worse the worse is the outcome.
_RANKS = {
    Outcome.IMPROVED: 0,
    Outcome.PASS: 0,
    Outcome.REGRESSED_WITHIN_MARGIN: 1,
    Outcome.INCONCLUSIVE: 1,
    Outcome.REGRESSED: 2,
}


def preset(name: str) -> Rules:
    """The rules of a preset."""
    return resolve([Layer(preset=name)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """Probabilities of outcomes. ``passed`` counts those that are better, or worse by less than the margin.

    ``failed`` is that of a red test: of every regression, and of what is inconclusive where that fails.
    """

    passed: float
    inconclusive: float
    regressed: float
    failed: float


@cache
def estimate(worse: int, better: int, n: int, level: float) -> Estimate:
    """McNemar's estimate; it is asked for again and again."""
    return mcnemar(worse, better, n, alpha=level)


def decided(worse: int, better: int, n: int, rules: Rules, family: int = 1, looks: float | None = None) -> Decision:
    """What the gate says of so many changed documents."""
    found = estimate(worse, better, n, bound_level(rules))
    evidence = Evidence(
        metric="acc",
        baseline=BASELINE,
        value=BASELINE + found.difference,
        higher_is_better=True,
        estimate=found,
        detectable=0.0,
        regressed=worse,
        improved=better,
    )
    return decide(evidence, rules, family=family, margin=rules.margin.of(BASELINE), looks=looks)


def shares(n: int, changed: float, drop: float, rules: Rules, *, family: int = 1, looks: float | None = None) -> Shares:
    """The verdicts on ``n`` documents of which a share changes, so many more for the worse as ``drop`` is."""
    flips = np.arange(binom.ppf(_TAIL, n, changed), binom.isf(_TAIL, n, changed) + 1).astype(int)
    borders = _borders(n, flips, rules, family, looks)
    # Of so many changes at most one fewer than the border are for the worse.
    below_middle, below_regressed = (
        binom.cdf(border - 1, flips, (changed + drop) / (2 * changed)) for border in borders[:2]
    )
    chance = binom.pmf(flips, n, changed)
    middle = below_regressed - below_middle
    passed = below_middle + np.where(borders[2] == 0, middle, 0.0)
    inconclusive = np.where(borders[2] > 0, middle, 0.0)
    failing = np.where(borders[2] == 2, middle, 0.0)
    regressed = 1 - below_regressed
    return Shares(
        passed=float(chance @ passed),
        inconclusive=float(chance @ inconclusive),
        regressed=float(chance @ regressed),
        failed=float(chance @ (regressed + failing)),
    )


def _borders(n: int, flips: np.ndarray, rules: Rules, family: int, looks: float | None) -> np.ndarray:
    """By number of changes: the fewest for the worse that are no pass, that are a regression, and what is between.

    Between is 0 where that passes, 1 where it is inconclusive and 2 where this fails. Shape [3, flips].
    """
    found = []
    middle = regressed = int(flips[0]) // 2
    for total in flips.tolist():

        def rank(worse: int, total: int = total) -> int:
            return _RANKS[decided(worse, total - worse, n, rules, family, looks).outcome]

        middle = border(lambda worse: rank(worse) >= 1, middle, total)
        regressed = border(lambda worse: rank(worse) >= 2, regressed, total)
        between = 0
        if middle < regressed:
            decision = decided(middle, total - middle, n, rules, family, looks)
            between = 0 if decision.outcome is Outcome.REGRESSED_WITHIN_MARGIN else 1 + decision.failed
        found.append((middle, regressed, between))
    return np.array(found).T


def border(reached: Callable[[int], bool], guess: int, most: int) -> int:
    """The smallest of 0 to ``most`` that is reached, ``most + 1`` where none is; what is above one is reached too."""
    guess, step = min(guess, most), 1
    if reached(guess):
        low, high = guess - 1, guess
        while low >= 0 and reached(low):
            low, high, step = max(-1, low - step), low, 2 * step
    else:
        low, high = guess, guess + 1
        while high <= most and not reached(high):
            low, high, step = high, min(most + 1, high + step), 2 * step
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high
