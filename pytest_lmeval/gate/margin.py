"""How much worse is still acceptable: ``1pp`` (points), ``2%`` (of the baseline), or a number in the metric's unit."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from enum import StrEnum

from pytest_lmeval.gate.numbers import is_fraction

MARGIN_PATTERN = r"(\d+(?:\.\d*)?|\.\d+)\s*(pp|points?|%)?"
_FORM = re.compile(MARGIN_PATTERN)
#: A share of less than this is a share of nothing: 2 % of an accuracy of 0.004 would forgive no single document.
NEAR_ZERO = 0.01


class Unit(StrEnum):
    """What a margin's number counts."""

    POINTS = "pp"
    PERCENT = "%"
    OWN = ""


@dataclass(frozen=True, slots=True)
class Margin:
    """``number`` in ``unit``; never negative."""

    number: float
    unit: Unit = Unit.POINTS

    @classmethod
    def parse(cls, value: object) -> Margin:
        """Read ``1pp``, ``0.5 points``, ``2%``, or a bare number in the metric's own unit. Raises ValueError."""
        text = str(value).strip()
        match = None if isinstance(value, bool) else _FORM.fullmatch(text)
        if match is None or not math.isfinite(float(match[1])):
            raise ValueError(f"expected points (1pp), a share (2%) or a number in the metric's unit, found {value!r}")
        unit = match[2] or ""
        return cls(float(match[1]), Unit(unit) if unit in ("", "%") else Unit.POINTS)

    def of(self, baseline: float) -> float:
        """Return the margin in the metric's own unit; 0 where a share would be one of (nearly) nothing.

        A point is a hundredth on the scale from 0 to 1. Other scales have no points: there N points are N percent.
        """
        if self.unit is Unit.OWN:
            return self.number
        if self.unit is Unit.POINTS and is_fraction(baseline):
            return self.number / 100
        size = abs(baseline) if math.isfinite(baseline) else 0.0
        return self.number / 100 * size if size >= NEAR_ZERO else 0.0

    def __str__(self) -> str:
        return f"{self.number:g}{self.unit.value}"
