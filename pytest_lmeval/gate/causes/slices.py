"""Which documents were lost: a metric broken down by the documents' columns.

Within each slice the paired test of the whole metric, adjusted for the number of slices; and for each column whether
its slices moved differently at all, since a drop that is the same everywhere is found in every large slice.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pytest_lmeval.gate.causes.measure import Measure, in_order
from pytest_lmeval.gate.pairing import Pair
from pytest_lmeval.gate.statistics.binary import mid_p
from pytest_lmeval.gate.statistics.continuous import paired_t
from pytest_lmeval.gate.statistics.multiple import benjamini_hochberg

#: Documents that a slice needs to be tested.
FEWEST = 5
#: Below this q a slice has dropped.
SIGNIFICANT = 0.05
#: Below this q the slices of a column have moved differently: a cause is named by it, so it is the stricter one.
UNEVEN = 0.01
_DRAWS = 2_000
# Sums of the same numbers in another order differ in their last digits.
_SLACK = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """The documents with one value of a column.

    Of ``n`` documents ``regressed`` got worse and ``improved`` better. ``difference`` is the mean now minus the mean
    then, as the metric counts; ``rest`` the same of the column's other documents. ``p`` is one-sided (worse), ``q``
    adjusted over all slices (Benjamini and Hochberg, J R Stat Soc B 57:289, 1995). Clusters are not considered.
    """

    facet: str
    value: str
    n: int
    regressed: int
    improved: int
    difference: float
    rest: float
    p: float
    q: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How a drop is spread over the slices of one column: ``q`` is small where they moved differently.

    Adjusted over all columns. Documents are taken for independent, clusters are not considered.
    """

    facet: str
    slices: int
    p: float
    q: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakdown:
    """A metric by slices, that which dropped most clearly first. ``left_out`` counts slices too small to be tested."""

    slices: tuple[Slice, ...]
    spreads: tuple[Spread, ...]
    left_out: int

    @property
    def even(self) -> bool:
        """Whether there are slices, and none moved more than the others."""
        return bool(self.spreads) and not any(spread.q < UNEVEN for spread in self.spreads)

    @property
    def outstanding(self) -> tuple[Slice, ...]:
        """The slices that dropped, worse than the others of a column whose slices moved differently."""
        uneven = {spread.facet for spread in self.spreads if spread.q < UNEVEN}
        return tuple(part for part in self.slices if part.facet in uneven and part.q < SIGNIFICANT and _is_worse(part))


def break_down(pairs: Sequence[Pair], measure: Measure, *, seed: int = 0) -> Breakdown:
    """Break the metric down by every column of the documents that has at least two slices."""
    compared = [(pair, gain) for pair in in_order(pairs) if (gain := measure.gain(pair)) is not None]
    facets = sorted({facet for pair, _ in compared for facet in pair.now.facets})
    slices: list[Slice] = []
    spreads: list[Spread] = []
    left_out = 0
    for facet in facets:
        groups = _groups(compared, facet)
        kept = {value: gains for value, gains in groups.items() if len(gains) >= FEWEST}
        left_out += len(groups) - len(kept)
        if len(kept) > 1:
            slices += _slices(facet, kept, measure, seed)
            spreads.append(_spread(facet, kept, seed))
    return Breakdown(slices=_ranked(slices, measure), spreads=_adjusted(spreads), left_out=left_out)


def _groups(compared: Sequence[tuple[Pair, float]], facet: str) -> Mapping[str, list[float]]:
    groups: defaultdict[str, list[float]] = defaultdict(list)
    for pair, gain in compared:
        if (value := pair.now.facets.get(facet)) is not None:
            groups[value].append(gain)
    return dict(sorted(groups.items()))


def _slices(facet: str, groups: Mapping[str, list[float]], measure: Measure, seed: int) -> list[Slice]:
    total = math.fsum(gain for gains in groups.values() for gain in gains)
    count = sum(map(len, groups.values()))
    sign = 1.0 if measure.higher_is_better else -1.0
    return [
        Slice(
            facet=facet,
            value=value,
            n=len(gains),
            regressed=sum(gain < 0 for gain in gains),
            improved=sum(gain > 0 for gain in gains),
            difference=sign * math.fsum(gains) / len(gains),
            rest=sign * (total - math.fsum(gains)) / (count - len(gains)),
            p=_p_worse(gains, measure, seed),
            q=math.nan,
        )
        for value, gains in groups.items()
    ]


def _p_worse(gains: Sequence[float], measure: Measure, seed: int) -> float:
    if measure.binary:
        return float(mid_p(sum(gain < 0 for gain in gains), sum(gain > 0 for gain in gains)))
    return paired_t(np.array(gains), alpha=SIGNIFICANT, seed=seed).p_worse


def _spread(facet: str, groups: Mapping[str, list[float]], seed: int) -> Spread:
    """Test whether the slices' means differ: documents are dealt to slices at random (Fisher-Pitman permutation).

    The statistic is the sum of squares between slices; documents that did not change add nothing to it.
    """
    sizes = np.array([len(gains) for gains in groups.values()])
    gains = np.concatenate([np.array(part) for part in groups.values()])
    labels = np.repeat(np.arange(len(sizes)), sizes)
    changed = np.flatnonzero(gains)
    moved = gains[changed]
    random = np.random.default_rng(seed)

    def between(dealt: Any) -> float:
        sums = np.bincount(dealt, weights=moved, minlength=len(sizes))
        return float((sums**2 / sizes).sum())

    observed = between(labels[changed]) * (1 - _SLACK)
    draws = (labels[random.choice(len(labels), len(changed), replace=False)] for _ in range(_DRAWS))
    as_far = sum(between(dealt) >= observed for dealt in draws)
    return Spread(facet=facet, slices=len(sizes), p=(1 + as_far) / (1 + _DRAWS), q=math.nan)


def _adjusted(spreads: Sequence[Spread]) -> tuple[Spread, ...]:
    q = benjamini_hochberg([spread.p for spread in spreads])
    return tuple(replace(spread, q=float(value)) for spread, value in zip(spreads, q, strict=True))


def _ranked(slices: Sequence[Slice], measure: Measure) -> tuple[Slice, ...]:
    q = benjamini_hochberg([part.p for part in slices])
    tested = [replace(part, q=float(value)) for part, value in zip(slices, q, strict=True)]
    sign = 1.0 if measure.higher_is_better else -1.0
    return tuple(sorted(tested, key=lambda part: (part.q, sign * part.difference, -part.n, part.facet, part.value)))


def _is_worse(part: Slice) -> bool:
    # Both are differences as the metric counts: what is further from 0 than the rest, in the direction of the drop.
    return abs(part.difference) > abs(part.rest) or part.difference * part.rest < 0
