"""Drift of gold margins: a broken kernel or a quantization moves log-probabilities long before it moves accuracy."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pytest_lmeval.gate.statistics.arrays import Floats, same_length
from pytest_lmeval.gate.statistics.continuous import clustered, paired_t
from pytest_lmeval.gate.statistics.estimate import Estimate

#: A mean that moved by less than this share of the margins' spread is no drift, however certain.
LEAST_SHIFT = 0.01
#: The mean absolute difference, as a share of the spread, that is taken for noise where none was measured.
#: bfloat16 instead of float32 gives 0.015 and four bits by rounding 0.29 on a model of 135M parameters.
ALLOWED_SHARE = 0.05
#: How many times the measured noise may be exceeded.
ALLOWED_FLOORS = 3.0
#: A measured noise of nothing still allows this share: recorded margins are rounded, and batch sizes differ.
ROUNDING_SHARE = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """How the gold margins (nats) moved.

    ``mean_shift`` is their mean's difference, negative where the gold choices lost ground; ``p`` is its two-sided
    p-value. ``mean_absolute`` and ``p95`` are of the absolute differences; ``spread`` is the standard deviation of the
    baseline's margins and ``share`` is ``mean_absolute`` over it, infinite where there is no spread and they moved.
    ``allowed`` is how large ``mean_absolute`` may be. ``n`` documents were compared; ``not_finite_now`` and
    ``not_finite_then`` count those left out, and ``reasons`` are sentences about what moved.
    """

    n: int
    mean_shift: Estimate
    p: float
    mean_absolute: float
    p95: float
    spread: float
    share: float
    allowed: float
    not_finite_now: int
    not_finite_then: int
    reasons: tuple[str, ...]

    @property
    def moved(self) -> bool:
        """Whether the margins moved by more than noise."""
        return bool(self.reasons)


def drift(
    now: ArrayLike,
    then: ArrayLike,
    *,
    alpha: float,
    seed: int,
    clusters: Sequence[Hashable] | None = None,
    floor_mean: float | None = None,
) -> Drift:
    """Compare gold margins [n] of the same documents.

    Moved are they if their mean did (two-sided ``alpha``, and by more than 1 % of their spread), or if the mean
    absolute difference is above three times ``floor_mean``, that of two runs of the same model, or above 5 % of the
    spread where none was measured. Documents whose margin is not finite in one run alone count as moved; those of both
    are only counted. Raises ValueError for lengths that differ.
    """
    here, there = np.asarray(now, dtype=np.float64), np.asarray(then, dtype=np.float64)
    same_length("margins", here, there, *([] if clusters is None else [clusters]))
    lost, unknown = ~np.isfinite(here), ~np.isfinite(there)
    kept = ~(lost | unknown)
    moves = here[kept] - there[kept]
    shift = _shift(
        moves, [c for c, keep in zip(clusters, kept, strict=True) if keep] if clusters else None, alpha, seed
    )
    spread = float(there[kept].std(ddof=1)) if moves.size > 1 else 0.0
    absolute = np.abs(moves)
    mean_absolute = float(absolute.mean()) if moves.size else 0.0
    p = min(1.0, 2 * min(shift.p_worse, shift.p_better))
    allowed = (
        ALLOWED_SHARE * spread if floor_mean is None else max(ALLOWED_FLOORS * floor_mean, ROUNDING_SHARE * spread)
    )
    return Drift(
        n=moves.size,
        mean_shift=shift,
        p=p,
        mean_absolute=mean_absolute,
        p95=float(np.quantile(absolute, 0.95)) if moves.size else 0.0,
        spread=spread,
        share=_share(mean_absolute, spread),
        allowed=allowed,
        not_finite_now=int(lost.sum()),
        not_finite_then=int(unknown.sum()),
        reasons=(
            *_vanished(int((lost & ~unknown).sum()), int((unknown & ~lost).sum())),
            *_shifted(shift.difference, spread, p, alpha),
            *_spread_out(mean_absolute, spread, allowed, floor_mean),
        ),
    )


def _shift(moves: Floats, clusters: Sequence[Hashable] | None, alpha: float, seed: int) -> Estimate:
    if clusters is None:
        return paired_t(moves, alpha=alpha, seed=seed)
    return clustered(moves, clusters, alpha=alpha, seed=seed)


def _share(size: float, spread: float) -> float:
    if spread:
        return size / spread
    return math.inf if size else 0.0


def _vanished(lost: int, found: int) -> tuple[str, ...]:
    said = ((lost, "is no finite number any more"), (found, "is a finite number and was none"))
    return tuple(f"The margin of {count} document{'s' * (count > 1)} {what}." for count, what in said if count)


def _shifted(shift: float, spread: float, p: float, alpha: float) -> tuple[str, ...]:
    if not (p < alpha and abs(shift) > LEAST_SHIFT * spread):
        return ()
    return (f"On average the margin moved by {shift:+.3g} nats ({_percent(shift, spread)}).",)


def _spread_out(mean_absolute: float, spread: float, allowed: float, floor_mean: float | None) -> tuple[str, ...]:
    if not mean_absolute > allowed:
        return ()
    share = _percent(mean_absolute, spread)
    what = "where no noise was measured" if floor_mean is None else f"with a measured noise of {floor_mean:.3g}"
    return (f"Margins differ by {mean_absolute:.3g} nats ({share}), and {allowed:.3g} is allowed {what}.",)


def _percent(size: float, spread: float) -> str:
    if not spread:
        return "they did not differ before"
    percent = 100 * _share(abs(size), spread)
    return f"{f'{percent:.2g}' if percent < 99.5 else f'{percent:,.0f}'} % of their spread"
