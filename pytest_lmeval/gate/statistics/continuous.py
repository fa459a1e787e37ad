"""Metrics with a number per document: paired t, sign flips, and both over clusters of documents.

``differences`` are candidate minus baseline, oriented so that negative is worse, one per document.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from pytest_lmeval.gate.statistics.arrays import Floats, cluster_codes, finite, same_length, sums_by
from pytest_lmeval.gate.statistics.estimate import Estimate
from pytest_lmeval.gate.statistics.flipping import DRAWS, sign_flip
from pytest_lmeval.gate.statistics.units import FEW_UNITS, MANY, Units, by_t, estimate_units, unchanged

PAIRED_T = "paired_t"
SIGN_FLIP = "sign_flip"
CLUSTERED_T = "clustered_t"
CLUSTERED_SIGN_FLIP = "clustered_sign_flip"
# The first term that normal theory leaves out of a t test's error is its skewness over √n (Hall, The Bootstrap and
# Edgeworth Expansion, 1992, ch. 2). At 0.02 it moves a level of 0.01 by about a tenth.
_HEAVY_SKEW = 0.02
_ROUNDING = 1e-12


def paired_t(differences: ArrayLike, *, alpha: float, seed: int, permutations: int = DRAWS) -> Estimate:
    """Estimate the mean difference, with t bounds.

    The p-values are from ``permutations`` random sign flips, one set for both, where there are fewer than 1000
    documents or the skew is heavy: a skewness of more than 0.02 √n; else from t. With at most 16 documents that differ
    all sign flips are tried. Bounds are infinite for fewer than two documents. Raises ValueError for differences that
    are not finite.
    """
    d = finite(differences, "differences")
    if d.size and not d.any():
        return unchanged(PAIRED_T, n=d.size)
    stderr = float(d.std(ddof=1)) / math.sqrt(d.size) if d.size > 1 else None
    mean = float(d.mean()) if d.size else 0.0
    made = by_t(mean, stderr, d.size - 1, alpha=alpha, method=PAIRED_T, n=d.size)
    if d.size < 2:
        return replace(made, note="one document" if d.size else "no documents")
    if d.size >= MANY and not heavily_skewed(d):
        return made
    tally = sign_flip(d, seed=seed, draws=permutations)
    return replace(made, method=SIGN_FLIP, p_worse=tally.p_worse, p_better=tally.p_better)


def heavily_skewed(d: Floats) -> bool:
    """Tell whether skewness / √n is above 0.02, or there is no spread that it could be measured by."""
    centred = d - d.mean()
    spread = float(np.square(centred).mean())
    # Equal differences leave no more than their rounding.
    if spread <= (_ROUNDING * float(np.abs(d).max())) ** 2:
        return True
    skewness = abs(float((centred**3).mean())) / math.pow(spread, 1.5)
    return skewness / math.sqrt(d.size) > _HEAVY_SKEW


def clustered(
    differences: ArrayLike, clusters: Sequence[Hashable], *, alpha: float, seed: int, permutations: int = DRAWS
) -> Estimate:
    """Estimate the mean difference where the documents of a cluster are not independent of each other.

    ``clusters`` has one entry per document. Cluster-robust standard error, t with C - 1 degrees of freedom (Miller,
    arXiv 2411.00640, app. A): ``SE² = C / (C - 1) · Σ_g (Σ_{i in g} (d_i - mean))² / n²``. With fewer than ten clusters
    the p-values are from turning the signs of whole clusters, in all ways. With fewer than five no gate is possible:
    both p-values are 1, ``lower`` is minus infinity, and the rest is for reports. Raises ValueError for differences
    that are not finite and for lengths that differ.
    """
    d = finite(differences, "differences")
    same_length("clusters", d, clusters)
    codes = cluster_codes(clusters)
    if d.size and not d.any():
        return unchanged(CLUSTERED_T, n=d.size, clusters=int(codes.max()) + 1)
    units = Units(
        totals=sums_by(codes, d),
        weights=np.bincount(codes).astype(np.float64),
        n=d.size,
        unit="cluster",
        method=CLUSTERED_T,
        flipped=CLUSTERED_SIGN_FLIP,
        trusted=FEW_UNITS,
        # Changes that cancel within every cluster leave no spread between them, and are still changes.
        least_stderr=float(d.std(ddof=1)) / math.sqrt(d.size) if d.size > 1 else 0.0,
    )
    return estimate_units(units, alpha=alpha, seed=seed, draws=permutations)
