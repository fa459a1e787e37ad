"""Filters, metrics and aggregations that a task's own module registers with lm-eval's decorators.

lm-eval is not needed for it: a module that uses the decorators imports it, and then it is there.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pytest_lmeval.tasks.functions import resolve
from pytest_lmeval.tasks.spec import TaskSpec
from pytest_lmeval.tasks.yaml_loader import FunctionReference

Kind = Literal["filter", "metric", "aggregation", "higher_is_better"]


def registered(spec: TaskSpec, kind: Kind, name: str) -> Any:
    """Return what is registered under ``name``, None for nothing; loads the modules that the task names.

    Raises TaskFileError where one of them cannot be loaded.
    """
    for reference in _references(spec.document.data):
        resolve(reference)
    registry = sys.modules.get("lm_eval.api.registry")
    return None if registry is None else getattr(registry, f"{kind}_registry").get(name, None)


def registered_aggregation(spec: TaskSpec, metric: str) -> str | None:
    """Return the name of the aggregation that a metric was registered with."""
    if registered(spec, "metric", metric) is None:
        return None
    registry = sys.modules["lm_eval.api.registry"]
    function = registry.metric_agg_registry.get(metric, None)
    return next((name for name, known in registry.aggregation_registry.items() if known is function), None)


def _references(value: Any) -> Iterator[FunctionReference]:
    if isinstance(value, FunctionReference):
        yield value
    elif isinstance(value, Mapping):
        yield from (reference for part in value.values() for reference in _references(part))
    elif isinstance(value, list | tuple):
        yield from (reference for part in value for reference in _references(part))
