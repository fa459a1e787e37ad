"""Means, medians and perplexities.

Values equal lm-evaluation-harness 0.4.13. Standard errors of means do too; for perplexities, where the reference
bootstraps or gives none, they are first-order (delta method) estimates over documents.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from pytest_lmeval.tasks.aggregation.base import SEED, Aggregation, Counts, Gaps, Values, nothing_of, number_of


def mean(values: Values) -> float:
    """Arithmetic mean."""
    return float(sum(values) / len(values))


def mean_stderr(values: Values) -> float | None:
    """Sample standard deviation (n - 1) over the square root of n; None for a single value."""
    n = len(values)
    if n < 2:
        return None
    centre = mean(values)
    return math.sqrt(sum((v - centre) ** 2 for v in values) / (n - 1)) / math.sqrt(n)


def median(values: Values) -> float:
    """Upper median: the reference does not average the two middle values."""
    return float(sorted(values)[len(values) // 2])


def _median_stderr(values: Values) -> float | None:
    """Bootstrap without resampling: the rank of a resample's median is that of a uniform order statistic.

    The r-th smallest of n uniform draws is Beta(r, n - r + 1) distributed (David and Nagaraja, Order Statistics, 2003).
    """
    n = len(values)
    if n < 2:
        return None
    rank = n // 2 + 1
    drawn = np.random.default_rng(SEED).beta(rank, n - rank + 1, size=10_000)
    medians = np.sort(np.asarray(values, dtype=float))[(drawn * n).astype(int)]
    return float(medians.std(ddof=1))


def perplexity(values: Values) -> float:
    """``exp`` of the mean negative log-probability (nats) per document."""
    return math.exp(-mean(values))


def _perplexity_stderr(values: Values) -> float | None:
    stderr = mean_stderr(values)
    return None if stderr is None else perplexity(values) * stderr


def _ratio(pairs: Values) -> float:
    return float(sum(p[0] for p in pairs) / sum(p[1] for p in pairs))


def _ratio_stderr(pairs: Values) -> float | None:
    """Ratio estimator's standard error over documents (Cochran, Sampling Techniques, 1977, ch. 6)."""
    n = len(pairs)
    if n < 2:
        return None
    ratio = _ratio(pairs)
    residuals = sum((total - ratio * weight) ** 2 for total, weight in pairs)
    return math.sqrt(n / (n - 1) * residuals) / float(sum(p[1] for p in pairs))


def weighted_perplexity(pairs: Values) -> float:
    """``exp`` of minus all log-probability (nats) over all words or bytes."""
    return math.exp(-_ratio(pairs))


def _weighted_perplexity_stderr(pairs: Values) -> float | None:
    stderr = _ratio_stderr(pairs)
    return None if stderr is None else weighted_perplexity(pairs) * stderr


def bits_per_byte(pairs: Values) -> float:
    """Minus all log-probability over all bytes, in bits."""
    return -_ratio(pairs) / math.log(2)


def _bits_per_byte_stderr(pairs: Values) -> float | None:
    stderr = _ratio_stderr(pairs)
    return None if stderr is None else stderr / math.log(2)


def _nanmean(values: Values) -> float:
    # numpy adds in another order than ``sum``: the last bit is the reference's too.
    return math.nan if all(math.isnan(v) for v in values) else float(np.nanmean(values))


def _nanmean_stderr(values: Values) -> float | None:
    return mean_stderr([v for v in values if not math.isnan(v)])


def _per_document(values: Values, choices: int) -> Counts:
    """Log-probability (nats) and 1: what is summed is divided by the number of documents."""
    return [(float(value), 1.0) for value in values]


def _weighted(pairs: Values, choices: int) -> Counts:
    """Log-probability (nats) and words or bytes."""
    return [(float(total), float(weight)) for total, weight in pairs]


MEANS = (
    Aggregation("mean", mean, mean_stderr, number_of),
    Aggregation("nanmean", _nanmean, _nanmean_stderr, number_of, Gaps.SKIPPED),
    Aggregation("median", median, _median_stderr),
    Aggregation("perplexity", perplexity, _perplexity_stderr, nothing_of, counts=_per_document),
    Aggregation("weighted_perplexity", weighted_perplexity, _weighted_perplexity_stderr, nothing_of, counts=_weighted),
    Aggregation("bits_per_byte", bits_per_byte, _bits_per_byte_stderr, nothing_of, counts=_weighted),
    # The reference's stand-in for "no metric"; tasks use it to collect answers only.
    Aggregation("bypass", lambda values: 999.0, per_document=nothing_of, gaps=Gaps.PASSED),
)


def pooled_stderr(stderrs: Sequence[float], sizes: Sequence[int]) -> float:
    """Standard error of a size-weighted mean over tasks, from their pooled variance."""
    pooled = sum((n - 1) * s**2 * n for n, s in zip(sizes, stderrs, strict=True))
    return math.sqrt(pooled / (sum(sizes) - len(sizes)) / sum(sizes))


def unweighted_stderr(stderrs: Sequence[float]) -> float:
    """Standard error of a plain mean over independent tasks."""
    return math.sqrt(sum(s**2 for s in stderrs)) / len(stderrs)
