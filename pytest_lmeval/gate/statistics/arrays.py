"""Numbers as the statistics take them: any sequence of finite numbers."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]


def finite(values: ArrayLike, what: str) -> Floats:
    """Return a vector of finite numbers. Raises ValueError, naming ``what``, for another shape or value."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(f"{what}: expected one number per document, found an array of shape {array.shape}")
    bad = int(np.count_nonzero(~np.isfinite(array)))
    if bad:
        raise ValueError(f"{what}: {bad} of {array.size} are not finite; such documents must be taken out in both runs")
    return array


def same_length(what: str, *arrays: Sequence[object] | Floats) -> None:
    """Raise ValueError unless all are of one length."""
    lengths = {len(array) for array in arrays}
    if len(lengths) > 1:
        raise ValueError(f"{what}: expected one entry per document in each, found {sorted(lengths)} entries")


def cluster_codes(clusters: Sequence[Hashable]) -> Codes:
    """Number the clusters 0, 1, … in order of appearance; one entry per document."""
    numbers: dict[Hashable, int] = {}
    return np.fromiter((numbers.setdefault(cluster, len(numbers)) for cluster in clusters), np.intp, len(clusters))


def sums_by(codes: Codes, values: Floats) -> Floats:
    """Sum the values [n] of each cluster."""
    return np.asarray(np.bincount(codes, weights=values), dtype=np.float64)
