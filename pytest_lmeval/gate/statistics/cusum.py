"""Slow drift: a sum of small drops from run to run that grows only where they go one way (Page 1954)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

#: What is taken off at every run, in standard errors: half of the drift per run that is to be found soonest.
ALLOWANCE = 0.5
#: Where the sum is told. With independent steps of an unchanged model that takes some 930 runs on average.
DECISION = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Slide:
    """A drift that the sum found. ``start`` is the first of its steps (from 0), ``height`` the sum after the last."""

    start: int
    height: float


def decision_for(series: int) -> float:
    """Where the sums of so many series are told, so that all together raise a false alarm as rarely as one does.

    The run length grows with ``exp(2 * ALLOWANCE * decision)``: a logarithm more for a multiple of the chances.
    """
    return DECISION + math.log(max(1, series)) / (2 * ALLOWANCE)


def paired_step(then: Any, now: Any) -> float:
    """How far two runs of the same documents are apart, in standard errors; negative where ``now`` is lower.

    ``sum(d) / sqrt(sum(d^2))`` over the documents' differences d: the error is that of no change, as in McNemar's test,
    whose statistic this is for answers that are right or wrong. 0 where no document differs. Documents without a score
    (NaN) in either run are left out. Raises ValueError for runs of different sizes.
    """
    if len(then) != len(now):
        raise ValueError(f"{len(then):,} documents then and {len(now):,} now: not the same documents")
    differences = np.asarray(now, dtype=float) - np.asarray(then, dtype=float)
    differences = differences[np.isfinite(differences)]
    size = math.sqrt(float(differences @ differences))
    return float(differences.sum()) / size if size > 0 else 0.0


def cusum(steps: Sequence[float], *, allowance: float = ALLOWANCE) -> tuple[float, ...]:
    """Sum up what falls: ``S_t = max(0, S_(t-1) - z_t - allowance)`` for steps z in standard errors, from S = 0."""
    sums, total = [], 0.0
    for step in steps:
        total = max(0.0, total - step - allowance)
        sums.append(total)
    return tuple(sums)


def slide(steps: Sequence[float], *, allowance: float = ALLOWANCE, decision: float = DECISION) -> Slide | None:
    """Tell whether the last step ends a slide, and where that began: after the last time the sum was 0."""
    sums = cusum(steps, allowance=allowance)
    if not sums or sums[-1] < decision:
        return None
    start = max((at + 1 for at, total in enumerate(sums) if total == 0), default=0)
    return Slide(start=start, height=sums[-1])
