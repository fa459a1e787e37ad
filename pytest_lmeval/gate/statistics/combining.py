"""Several tasks as one: groups of tasks, and a whole suite."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pytest_lmeval.gate.statistics.arrays import Floats
from pytest_lmeval.gate.statistics.binary import METHOD as BINARY
from pytest_lmeval.gate.statistics.binary import mcnemar, mid_p, tango_bounds
from pytest_lmeval.gate.statistics.estimate import Estimate
from pytest_lmeval.gate.statistics.flipping import DRAWS, SLACK
from pytest_lmeval.gate.statistics.units import by_t, unchanged

POOLED = "pooled_mcnemar"
STRATIFIED = "stratified"
STRATIFIED_BINARY = "stratified_mcnemar"


def pooled_binary(counts: Sequence[tuple[int, int, int]], *, alpha: float) -> Estimate:
    """Test all documents of right-or-wrong tasks as those of one; ``counts`` are (regressed, improved, n) per task."""
    b, c, n = (sum(values) for values in zip(*counts, strict=True)) if counts else (0, 0, 0)
    return replace(mcnemar(b, c, n, alpha=alpha), method=POOLED)


def stratified(estimates: Sequence[Estimate], weights: Sequence[float], *, alpha: float) -> Estimate:
    """Combine independent tasks' estimates into that of their weighted mean, ``Σ w d``; weights are scaled to sum 1.

    Where every task is tested by McNemar's test, so is the mean, with effective counts: as many documents, and as many
    changed ones, as would give the sum of the tasks' own variances (Rao and Scott, Biometrics 48:577, 1992). Weights in
    proportion to the documents give the pooled counts exactly, and the interval has a width where nothing changed.
    Otherwise ``SE² = Σ w² SE²`` and t with Satterthwaite's degrees of freedom (Biometrics Bulletin 2:110, 1946); a task
    without a standard error leaves nothing to conclude. Raises ValueError for weights that cannot be.
    """
    share = _shares(estimates, weights)
    used = [(estimate, w) for estimate, w in zip(estimates, share.tolist(), strict=True) if w > 0]
    n = sum(estimate.n for estimate, _ in used)
    if used and all(estimate.method == BINARY and estimate.n for estimate, _ in used):
        return _effective(used, n, alpha)
    if used and all(estimate.note == "identical" for estimate, _ in used):
        return unchanged(STRATIFIED, n=n)
    difference = math.fsum(w * estimate.difference for estimate, w in used)
    parts = [(w * estimate.stderr) ** 2 for estimate, w in used if estimate.stderr is not None]
    if len(parts) < len(used) or not used:
        made = by_t(difference, None, 0, alpha=alpha, method=STRATIFIED, n=n)
        return replace(made, note="a part has no standard error" if used else "no documents")
    df = _degrees(parts, [(estimate.clusters or estimate.n) - 1 for estimate, _ in used])
    return by_t(difference, math.sqrt(math.fsum(parts)), df, alpha=alpha, method=STRATIFIED, n=n)


def _shares(estimates: Sequence[Estimate], weights: Sequence[float]) -> Floats:
    values = np.asarray(weights, dtype=np.float64)
    if len(values) != len(estimates):
        raise ValueError(f"weights: expected one per estimate, {len(estimates)}, found {len(values)}")
    if values.size and not (np.isfinite(values).all() and values.min() >= 0 and values.sum() > 0):
        raise ValueError(f"weights: expected finite ones of at least 0 with a positive sum, found {list(weights)}")
    return values / values.sum() if values.size else values


def _effective(used: Sequence[tuple[Estimate, float]], n: int, alpha: float) -> Estimate:
    difference = math.fsum(w * estimate.difference for estimate, w in used)
    # A task's changed documents over n²: its standard error is that without the square of the difference.
    changed = math.fsum(w**2 * ((part.stderr or 0.0) ** 2 + part.difference**2 / part.n) for part, w in used)
    size = 1 / math.fsum(w**2 / estimate.n for estimate, w in used)
    # A task that weighs little per document can move the mean with less than one effective change.
    flips = min(max(changed * size**2, abs(difference) * size), size)
    b, c = (max(0.0, (flips - side * size * difference) / 2) for side in (1, -1))
    lower, low, high = tango_bounds(b, c, size, alpha)
    return Estimate(
        method=STRATIFIED_BINARY,
        n=n,
        difference=difference,
        stderr=math.sqrt(math.fsum((w * (estimate.stderr or 0.0)) ** 2 for estimate, w in used)),
        p_worse=mid_p(b, c),
        p_better=mid_p(c, b),
        lower=min(lower, difference),
        low=min(low, difference),
        high=max(high, difference),
    )


def _degrees(parts: Sequence[float], degrees: Sequence[int]) -> float:
    """Satterthwaite's degrees of freedom of a sum of variances; infinite where there is no variance."""
    spread = math.fsum(part**2 / max(1, df) for part, df in zip(parts, degrees, strict=True))
    return math.fsum(parts) ** 2 / spread if spread else math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class LargestDrop:
    """The task that fell most, by its position, and how often chance lets one of the tasks fall as much."""

    position: int
    p: float


def largest_drop(counts: Sequence[tuple[int, int, int]], *, seed: int, draws: int = DRAWS) -> LargestDrop | None:
    """Test for a single collapsed task among right-or-wrong ones (Kübler et al., arXiv 2602.10144).

    Drops are compared by ``(b - c) / √(b + c)``, so that tasks of all sizes count alike; the distribution of the
    largest is drawn, each change of a document being for the worse with probability 1/2. ``counts`` are (regressed,
    improved, n) per task. None where no document changed.
    """
    b, c = (np.asarray([count[at] for count in counts], dtype=np.int64) for at in (0, 1))
    flips = b + c
    if not flips.any():
        return None
    scale = np.sqrt(np.maximum(flips, 1))
    # A task without a change cannot have fallen.
    scores = np.where(flips > 0, (b - c) / scale, -np.inf)
    drawn = np.random.default_rng(seed).binomial(flips, 0.5, size=(draws, flips.size))
    largest = np.where(flips > 0, (2 * drawn - flips) / scale, -np.inf).max(axis=1)
    as_large = int(np.count_nonzero(largest >= scores.max() - SLACK))
    return LargestDrop(position=int(scores.argmax()), p=(1 + as_large) / (1 + draws))
