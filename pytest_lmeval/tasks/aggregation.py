"""From per-document values to one number and its standard error.

Values equal lm-evaluation-harness 0.4.13. Standard errors of means do too; for perplexities, where the reference
bootstraps or gives none, they are first-order (delta method) estimates over documents.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Values = Sequence[Any]


@dataclass(frozen=True, slots=True)
class Aggregation:
    """``value`` of all documents' values, and ``stderr`` in the same unit where an estimate exists."""

    name: str
    value: Callable[[Values], float]
    stderr: Callable[[Values], float | None] = lambda values: None


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
    real = [v for v in values if not math.isnan(v)]
    return mean(real) if real else math.nan


def _nanmean_stderr(values: Values) -> float | None:
    return mean_stderr([v for v in values if not math.isnan(v)])


AGGREGATIONS = {
    a.name: a
    for a in (
        Aggregation("mean", mean, mean_stderr),
        Aggregation("nanmean", _nanmean, _nanmean_stderr),
        Aggregation("median", median),
        Aggregation("perplexity", perplexity, _perplexity_stderr),
        Aggregation("weighted_perplexity", weighted_perplexity, _weighted_perplexity_stderr),
        Aggregation("bits_per_byte", bits_per_byte, _bits_per_byte_stderr),
        Aggregation("bypass", lambda values: 999.0),
    )
}


def pooled_stderr(stderrs: Sequence[float], sizes: Sequence[int]) -> float:
    """Standard error of a size-weighted mean over tasks, from their pooled variance."""
    pooled = sum((n - 1) * s**2 * n for n, s in zip(sizes, stderrs, strict=True))
    return math.sqrt(pooled / (sum(sizes) - len(sizes)) / sum(sizes))


def unweighted_stderr(stderrs: Sequence[float]) -> float:
    """Standard error of a plain mean over independent tasks."""
    return math.sqrt(sum(s**2 for s in stderrs)) / len(stderrs)
