"""The metrics a task asks for, by the reference's names."""

from __future__ import annotations

from pytest_lmeval.tasks.metrics.listed import Metric, metrics_of, repeated
from pytest_lmeval.tasks.metrics.matching import exact_match

__all__ = ["Metric", "exact_match", "metrics_of", "repeated"]
