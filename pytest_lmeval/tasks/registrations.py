"""Filters, metrics and aggregations that a task's own modules register with lm-eval's decorators.

lm-eval is not needed for it: a module that uses the decorators imports it, and then it is there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pytest_lmeval.tasks.decorators import Kind, Registries, registries_of
from pytest_lmeval.tasks.functions import module_name
from pytest_lmeval.tasks.spec import TaskSpec
from pytest_lmeval.tasks.yaml_loader import FunctionReference


def registered(spec: TaskSpec, kind: Kind, name: str) -> Any:
    """Return what is registered under ``name``, None for nothing; loads the modules that the task names.

    Raises TaskFileError where one of them cannot be loaded.
    """
    registries = _registries(spec, kind, name)
    return registries[kind].get(name) if registries else None


def registered_aggregation(spec: TaskSpec, metric: str) -> str | None:
    """Return the name of the aggregation that a metric was registered with."""
    registries = _registries(spec, "metric_agg", metric)
    if registries is None:
        return None
    function = registries["metric_agg"].get(metric)
    return next((name for name, known in registries["aggregation"].items() if known is function), None)


def _registries(spec: TaskSpec, kind: Kind, name: str) -> Registries | None:
    """Return the registries of the first of the task's modules that knows the name."""
    modules = dict.fromkeys(module_name(reference) for reference in _references(spec.document.data))
    known = (registries_of(module) for module in modules)
    return next((registries for registries in known if registries and name in registries[kind]), None)


def _references(value: Any) -> Iterator[FunctionReference]:
    if isinstance(value, FunctionReference):
        yield value
    elif isinstance(value, Mapping):
        yield from (reference for part in value.values() for reference in _references(part))
    elif isinstance(value, list | tuple):
        yield from (reference for part in value for reference in _references(part))
