"""A metric of a task over past runs, as reports draw it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TrendPoint:
    """One past run's value, in the metric's own unit.

    ``started`` is in seconds since 1970 (UTC), ``stderr`` None where there is no estimate, ``commit`` None where it is
    unknown. ``verdict`` is a Status's value. ``branch`` is the one that was checked out.
    """

    run: str
    started: float
    value: float
    stderr: float | None
    n: int
    verdict: str
    commit: str | None
    branch: str | None = None
