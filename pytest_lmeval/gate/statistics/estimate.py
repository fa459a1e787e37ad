"""What every paired test of the gate returns."""

from __future__ import annotations

from dataclasses import dataclass

#: Two-sided level of the intervals that are shown to people.
SHOWN_LEVEL = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """How a metric moved from the baseline to the candidate.

    ``difference`` is candidate minus baseline in the metric's unit, its sign turned where lower is better: negative is
    worse, and so are the bounds. ``p_worse`` and ``p_better`` are one-sided. ``lower`` is the one-sided lower bound at
    the level that was asked for, ``low`` and ``high`` the two-sided 95 % interval. ``n`` counts documents,
    ``clusters`` the units that were taken for independent, None where these are the documents. ``stderr`` is None
    where the method has none. ``note`` is for people: what limits the method here.
    """

    method: str
    n: int
    difference: float
    stderr: float | None
    p_worse: float
    p_better: float
    lower: float
    low: float
    high: float
    clusters: int | None = None
    note: str = ""
