"""How margins are distributed, now and then, over the same bins."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pytest_lmeval.gate.pairing import Pair
from pytest_lmeval.results import ItemResult

_BINS = 40
# What lies further out is counted in the first and the last bin: one margin of -300 would leave no room for the others.
_OUTER = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """``now`` and ``then`` count documents between ``edges`` (nats), one more than there are bins.

    The outer bins also count what lies beyond them. ``then`` is empty where there is no baseline.
    """

    edges: tuple[float, ...]
    now: tuple[int, ...]
    then: tuple[int, ...]


def margin_histogram(items: Sequence[ItemResult], pairs: Sequence[Pair]) -> Histogram | None:
    """Count margins: of the documents that both runs have where there is a baseline; None where there are none.

    0 is an edge: on its sides the right choice is and is not the most probable one.
    """
    shared = [(pair.now.margin, pair.then.margin) for pair in pairs]
    both = [(now, then) for now, then in shared if _known(now) and _known(then)]
    now = [margin for margin, _ in both] or [item.margin for item in items if _known(item.margin)]
    then = [margin for _, margin in both]
    if len(now) < 2:
        return None
    edges = _edges(np.array([*now, *then], dtype=float))
    return Histogram(edges=tuple(map(float, edges)), now=_counts(now, edges), then=_counts(then, edges))


def _known(margin: float | None) -> bool:
    return margin is not None and math.isfinite(margin)


def _edges(values: Any) -> Any:
    low, high = np.quantile(values, [_OUTER, 1 - _OUTER])
    low, high = min(float(low), 0.0), max(float(high), 0.0)
    width = (high - low) / _BINS or 1.0
    below, above = math.ceil(-low / width - 1e-9), math.ceil(high / width - 1e-9)
    return np.arange(-below, max(above, 1 - below) + 1) * width


def _counts(values: Sequence[float | None], edges: Any) -> tuple[int, ...]:
    if not values:
        return ()
    inside = np.clip(np.array(values, dtype=float), edges[0], edges[-1])
    return tuple(map(int, np.histogram(inside, edges)[0]))
