"""What became of each document since the baseline, and whether its answer is right now."""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum

from pytest_lmeval.gate.causes.measure import Measure
from pytest_lmeval.gate.numbers import is_fraction
from pytest_lmeval.gate.pairing import Pair
from pytest_lmeval.results import Flaw, ItemResult
from pytest_lmeval.runs.tasks import TaskRecord

# As in Measure: what metrics that are no mean keep of a document.
_PARTS = ("item", "numerator")


class Change(StrEnum):
    """How a document stands to the baseline's, in the order in which the page offers them."""

    REGRESSED = "regressed"
    IMPROVED = "improved"
    SAME_WRONG = "same wrong"
    SAME_RIGHT = "same right"
    UNCHANGED = "unchanged"
    NO_VALUE = "no value"
    ERROR = "error"
    NO_PAIR = "no pair"


def measure_of(record: TaskRecord, pairs: Sequence[Pair]) -> Measure:
    """Choose the value by which documents are compared and called right: the one of the row's metric."""
    higher = higher_is_better(record)
    if pairs:
        return Measure.of(pairs, record.row.metric, higher_is_better=higher)
    metric = record.row.metric
    keys = (metric, *(f"{metric}/{part}" for part in _PARTS))
    found = {key: [item.scores[key] for item in record.result.items if key in item.scores] for key in keys}
    key = next((key for key in keys if found[key]), metric)
    values = [value for value in found[key] if math.isfinite(value)]
    return Measure(
        key=key,
        higher_is_better=higher or key != metric,
        binary=all(value in (0.0, 1.0) for value in values),
        fraction=is_fraction(*values),
    )


def higher_is_better(record: TaskRecord) -> bool:
    """Whether more of the row's metric is better."""
    found = next((metric for metric in record.row.metrics if metric.key == record.row.metric), None)
    return found is None or found.higher_is_better


def change_of(item: ItemResult, pair: Pair | None, measure: Measure) -> Change:
    """Compare a document with itself."""
    if item.error is not None or item.flaw is Flaw.ERROR:
        return Change.ERROR
    if pair is None:
        return Change.NO_PAIR
    gain = measure.gain(pair)
    if gain is None:
        return Change.NO_VALUE
    if gain:
        return Change.REGRESSED if gain < 0 else Change.IMPROVED
    if not measure.binary:
        return Change.UNCHANGED
    return Change.SAME_RIGHT if measure.was_right(pair) else Change.SAME_WRONG


def is_right(item: ItemResult, measure: Measure) -> bool | None:
    """Whether the answer is right; None where answers are not right or wrong, or there is no value."""
    value = item.scores.get(measure.key)
    if value is None or not measure.binary or not math.isfinite(value):
        return None
    return value == float(measure.higher_is_better)
