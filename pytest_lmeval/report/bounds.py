"""A threshold in a report: the bound, and whether the value kept it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pytest_lmeval.baselines.plain import Fields, write_number
from pytest_lmeval.gate.thresholds import ThresholdCheck


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """``limit`` is the "min" or "max", as ``bound`` says, of a metric, in its own unit."""

    metric: str
    bound: str
    limit: float
    passed: bool

    @classmethod
    def of(cls, check: ThresholdCheck) -> Bound:
        """Reduce a check to what is drawn of it."""
        return cls(metric=check.metric, bound=check.bound, limit=check.limit, passed=check.passed)

    def to_json(self) -> dict[str, Any]:
        """Reduce to plain values."""
        return {"metric": self.metric, "bound": self.bound, "limit": write_number(self.limit), "passed": self.passed}

    @classmethod
    def from_json(cls, data: object, place: str) -> Bound:
        """Restore from :meth:`to_json`. Raises ValueError for anything else."""
        bound = Fields(data, place)
        return cls(
            metric=bound.text("metric"),
            bound=bound.text("bound"),
            limit=bound.number("limit"),
            passed=bound.flag("passed"),
        )
