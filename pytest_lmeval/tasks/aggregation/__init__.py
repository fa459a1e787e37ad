"""From per-document values to one number and its standard error, by the reference's names."""

from __future__ import annotations

from pytest_lmeval.tasks.aggregation.base import Aggregation, Counts, Gaps, Values, is_gap
from pytest_lmeval.tasks.aggregation.classification import CLASSIFICATION
from pytest_lmeval.tasks.aggregation.means import MEANS, mean, pooled_stderr, unweighted_stderr
from pytest_lmeval.tasks.aggregation.translation import TRANSLATION

AGGREGATIONS = {aggregation.name: aggregation for aggregation in (*MEANS, *CLASSIFICATION, *TRANSLATION)}

__all__ = [
    "AGGREGATIONS",
    "Aggregation",
    "Counts",
    "Gaps",
    "Values",
    "is_gap",
    "mean",
    "pooled_stderr",
    "unweighted_stderr",
]
