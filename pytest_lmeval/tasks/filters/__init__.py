"""Answer filters: what happens to a response between the model and the metric.

A pipeline maps the responses of every document (a list per request, one entry per repeat) to filtered ones.
Names and behaviour are the reference's (``lm_eval.filters``), with one difference: where ``group_select`` names a
match that a response does not have, the filter falls back, and does not fail the whole task.
"""

from __future__ import annotations

from pytest_lmeval.tasks.filters.base import Documents, Filter, Responses
from pytest_lmeval.tasks.filters.pipeline import FILTERS, own_filters, pipelines

__all__ = ["FILTERS", "Documents", "Filter", "Responses", "own_filters", "pipelines"]
