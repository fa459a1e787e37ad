"""Perplexities: the paired ratio estimator of a weighted mean log-likelihood."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from pytest_lmeval.gate.statistics.arrays import cluster_codes, finite, same_length, sums_by
from pytest_lmeval.gate.statistics.estimate import Estimate
from pytest_lmeval.gate.statistics.units import FEW_UNITS, MANY, Units, estimate_units, unchanged

METHOD = "paired_ratio"
SIGN_FLIP = "ratio_sign_flip"


def paired_ratio(
    numerators_now: ArrayLike,
    numerators_then: ArrayLike,
    weights: ArrayLike,
    *,
    alpha: float,
    clusters: Sequence[Hashable] | None = None,
    seed: int = 0,
) -> Estimate:
    """Estimate how the log-likelihood per unit of weight moved: Σ (now - then) / Σ weights.

    One entry per document: log-likelihoods (higher is better) and what they are divided by, tokens, words or bytes, the
    same in both runs. The difference is in nats per unit of weight where the log-likelihoods are in nats, so that
    ``exp(-difference)`` is the ratio of the perplexities. Standard error from the residuals, t with n - 1 degrees of
    freedom; units are the documents, or ``clusters``. Lengths differ so much that t errs with few documents: by
    simulation it rejects 6.7 % instead of 5 % with 62. With fewer than 1000, or fewer than ten clusters, the p-values
    are from sign flips, which are as exact here since both runs have the same weights; with fewer than five units
    nothing can be concluded. Raises ValueError for values that are not finite, weights that are negative or all zero,
    and lengths that differ.
    """
    now, then = finite(numerators_now, "numerators now"), finite(numerators_then, "numerators then")
    w = finite(weights, "weights")
    same_length("paired ratio", now, then, w, *([] if clusters is None else [clusters]))
    if w.size and not (w.min() >= 0 and w.sum() > 0):
        raise ValueError(f"weights: expected none below 0 and a positive sum, found {w.min():g} and {w.sum():g}")
    codes = np.arange(w.size) if clusters is None else cluster_codes(clusters)
    moved = now - then
    if w.size and not moved.any():
        return unchanged(METHOD, n=w.size, clusters=None if clusters is None else int(codes.max()) + 1)
    units = Units(
        totals=sums_by(codes, moved),
        weights=sums_by(codes, w),
        n=w.size,
        unit="document" if clusters is None else "cluster",
        method=METHOD,
        flipped=SIGN_FLIP,
        trusted=MANY if clusters is None else FEW_UNITS,
    )
    return estimate_units(units, alpha=alpha, seed=seed)
