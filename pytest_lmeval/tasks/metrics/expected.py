"""Which metric a task will be judged by and what makes one value of its documents', told before anything is asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pytest_lmeval.tasks.groups import Group
from pytest_lmeval.tasks.metrics.listed import DEFAULTS, KNOWN
from pytest_lmeval.tasks.spec import TaskSpec
from pytest_lmeval.tasks.yaml_loader import FunctionReference

_MEANS = ("mean", "nanmean")


def is_mean_of_documents(target: TaskSpec | Group) -> bool:
    """Tell whether the main metric is the mean of its documents' values, as accuracies are and perplexities are not.

    Of Python tasks and functions nothing is known before they have run; they count as means.
    """
    if isinstance(target, Group):
        return all(_aggregation(leaf, target.spec.aggregates[0].metric) in _MEANS for leaf in target.leaves())
    return _aggregation(target, expected_main(target)) in _MEANS


def expected_main(spec: TaskSpec) -> str:
    """Name the metric that a task's file makes its main one, without a filter; "" where only its class knows."""
    if spec.python_class is not None:
        return ""
    names = list(_listed(spec))
    gated = [str(key).partition(",")[0] for key in spec.gate or ()]
    return next((name for name in (*gated, "acc_norm", "acc") if name in names), names[0] if names else "")


def _aggregation(spec: TaskSpec, name: str) -> str:
    if spec.python_class is not None:
        return "mean"
    return _listed(spec).get(name, "mean")


def _listed(spec: TaskSpec) -> dict[str, str]:
    entries = spec.metric_list or [{"metric": name} for name in DEFAULTS[spec.output_type]]
    return dict(_named(entry) for entry in _mappings(entries))


def _named(entry: Mapping[str, Any]) -> tuple[str, str]:
    metric = entry["metric"]
    name = metric.qualified_name.rpartition(".")[2] if isinstance(metric, FunctionReference) else str(metric)
    given = entry.get("aggregation")
    return name, given if isinstance(given, str) else KNOWN.get(name, ("mean", True))[0]


def _mappings(entries: Any) -> Iterator[Mapping[str, Any]]:
    # What else stands here is refused, at its line, when the task is evaluated.
    yield from (entry for entry in entries if isinstance(entry, Mapping) and "metric" in entry)
