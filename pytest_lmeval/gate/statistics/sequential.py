"""Tests that may be looked at after every document: evidence of harm, and bounds on what all documents will say.

Documents come in random order. Looking at an ordinary p-value again and again until it is small would call every model
worse sooner or later; these stay valid however often they are looked at, and whenever one stops.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

# Beta prior on the share of documents that are counted. Flips are rare: where half a document in twenty is expected,
# the bounds on a few per cent are tightest. Any prior gives valid bounds.
_PRIOR = (0.5, 9.5)

# Share of the error rate that is spent on stopping early; the rest is the final test's.
SEQUENTIAL_SHARE = 0.2


def discordance_evidence(regressed: int, improved: int) -> float:
    """Log of an e-value against "a document that flips is as likely to get better as to get worse".

    With b regressed and c improved of N = b + c it is a likelihood ratio, the alternatives mixed uniformly over
    P(regressed | flipped) in (1/2, 1): ``E = 2^(N+1) B(b+1, c+1) P(Beta(b+1, c+1) > 1/2)``. Along any order in which
    each flip is a regression with probability 1/2 at most, P(E ever reaches 1/a) <= a (Ville's inequality).

    Computed as the equal sum ``E = 1/(c+1) sum_j prod_{i<j} (b-i)/(c+2+i)``, whose terms are all positive: nothing
    cancels, and in logarithms nothing overflows. Raises ValueError for negative counts.
    """
    if regressed < 0 or improved < 0:
        raise ValueError(f"counts of documents, not {regressed} and {improved}")
    steps = np.arange(regressed, dtype=float)
    terms = np.concatenate([[0.0], np.cumsum(np.log((regressed - steps) / (improved + 2 + steps)))])
    return _log_sum(terms) - math.log(improved + 1)


def anytime_p(log_evidence: float) -> float:
    """Turn the largest evidence so far into a p-value that holds at any time: ``min(1, 1/E)``."""
    return math.exp(-max(0.0, log_evidence))


def combined_p(final: float, sequential: float) -> float:
    """One p-value of the final test and of the running one, which have 80 % and 20 % of the error rate (Bonferroni)."""
    return min(1.0, final / (1 - SEQUENTIAL_SHARE), sequential / SEQUENTIAL_SHARE)


def counts_bounds(successes: int, asked: int, total: int, *, alpha: float) -> tuple[int, int]:
    """Bound how many of ``total`` documents count, ``successes`` of the ``asked`` ones doing so.

    The documents are drawn at random without replacement. A confidence sequence: with probability ``1 - alpha`` the
    number lies in the bounds after every document at once, so bounds may be intersected over time. When all are asked
    the bounds are the number itself. Prior-posterior-ratio martingale with a beta-binomial prior (Waudby-Smith and
    Ramdas 2020, "Confidence sequences for sampling without replacement"): a number k is ruled out where the prior is
    ``1/alpha`` times what the posterior gives it, which is where the hypergeometric likelihood of k is at most
    ``alpha`` times the marginal one. Raises ValueError for counts that cannot be.
    """
    if not 0 <= successes <= asked <= total or not 0 < alpha < 1:
        raise ValueError(f"{successes} of {asked} of {total} documents at alpha {alpha}")
    least, most = successes, total - asked + successes
    limit = math.log(alpha) + _log_marginal(successes, asked)

    def possible(count: int) -> bool:
        return _log_likelihood(count, successes, asked, total) > limit

    # The likelihood rises up to its mode and falls after it, and at the mode it is above the limit.
    mode = min(most, max(least, (total + 1) * successes // asked if asked else least))
    return _first(possible, least, mode), _last(possible, mode, most)


@dataclass(frozen=True, slots=True, kw_only=True)
class CountBounds:
    """Bounds on a count over all documents, intersected over all times at which one looked."""

    low: int
    high: int

    @classmethod
    def before(cls, total: int) -> CountBounds:
        """What is known before the first document."""
        return cls(low=0, high=total)

    def after(self, successes: int, asked: int, total: int, *, alpha: float) -> CountBounds:
        """Look once more."""
        low, high = counts_bounds(successes, asked, total, alpha=alpha)
        # Where the two do not meet, which has a probability below alpha, what is counted is still certain.
        low, high = max(self.low, low), min(self.high, high)
        return replace(self, low=low, high=max(low, high))


def _log_sum(terms: Any) -> float:
    largest = float(terms.max())
    return largest + math.log(float(np.exp(terms - largest).sum()))


def _log_likelihood(count: int, successes: int, asked: int, total: int) -> float:
    return _log_choose(count, successes) + _log_choose(total - count, asked - successes) - _log_choose(total, asked)


def _log_marginal(successes: int, asked: int) -> float:
    """Log-probability of ``successes`` among ``asked`` under the prior."""
    a, b = _PRIOR
    return _log_choose(asked, successes) + _log_beta(a + successes, b + asked - successes) - _log_beta(a, b)


@lru_cache(maxsize=65536)
def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def _first(possible: Callable[[int], bool], low: int, high: int) -> int:
    """The smallest possible number of a range of which the upper part is possible, found by halving."""
    while low < high:
        middle = (low + high) // 2
        if possible(middle):
            high = middle
        else:
            low = middle + 1
    return low


def _last(possible: Callable[[int], bool], low: int, high: int) -> int:
    """The largest possible number of a range of which the lower part is possible."""
    return -_first(lambda count: possible(-count), -high, -low)
