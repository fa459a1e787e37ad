"""The metrics that a Python task reports, with the aggregations that its class names."""

from __future__ import annotations

from typing import Any

from pytest_lmeval.tasks.aggregation import AGGREGATIONS, Aggregation, is_gap
from pytest_lmeval.tasks.metrics import Metric


class ClassMetrics:
    """Finds a metric by name: what the class's ``aggregation()`` and ``higher_is_better()`` say, else a mean."""

    def __init__(self, task: Any) -> None:
        self._functions = task.aggregation()
        self._directions = task.higher_is_better()

    def metric(self, name: str) -> Metric:
        """Return the metric of that name."""
        return Metric(name, self._aggregation(name), bool(self._directions.get(name, True)))

    def per_document(self, key: str, name: str, value: Any) -> dict[str, float]:
        """Reduce one document's value to the numbers that are kept of it."""
        return {} if is_gap(value) else self._aggregation(name).per_document(key, value)

    def _aggregation(self, name: str) -> Aggregation:
        mean, function = AGGREGATIONS["mean"], self._functions.get(name)
        # The reference's own mean and numpy's: of these the standard error is known.
        if function is None or getattr(function, "__name__", "") == "mean":
            return mean
        return Aggregation.own(name, function)
