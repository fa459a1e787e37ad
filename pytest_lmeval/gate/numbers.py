"""How values and differences are spelled for people: the same in failures, tables and reports."""

from __future__ import annotations

import math


def decimals(value: float) -> int:
    """Digits after the point: four for accuracies and other fractions, fewer for perplexities."""
    size = abs(value)
    if not size > 1:
        return 4
    return 3 if size < 100 else 2


def format_value(value: float, *, signed: bool = False, like: float | None = None) -> str:
    """Spell a value in its own unit, with as many decimals as ``like`` (itself by default) takes."""
    sign = "+" if signed else ""
    if not math.isfinite(value):
        return f"{value:{sign}}"
    if abs(value) >= 1e6:
        return f"{value:{sign}.4g}"
    return f"{value:{sign}.{decimals(value if like is None else like)}f}"


def is_fraction(*values: float) -> bool:
    """Tell accuracies and their like from perplexities and other open scales.

    Down to -1, where correlations end: one percent of a correlation near 0 would be no tolerance at all.
    """
    return all(-1 <= value <= 1 for value in values)


def format_distance(distance: float, *, fraction: bool, like: float, signed: bool = False) -> str:
    """Spell a difference: in points (hundredths) for fractions, else in the metric's unit."""
    sign = "+" if signed else ""
    if fraction:
        return f"{100 * distance:{sign}.2f} points"
    return format_value(distance, signed=signed, like=like)
