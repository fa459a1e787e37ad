"""Check that a task has the metrics its gate bounds."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from pytest_lmeval.gate.policy import OTHER_KEYS, GatePolicy, parse_gate
from pytest_lmeval.results import metric_key
from pytest_lmeval.suggestions import nearest, suggestion
from pytest_lmeval.tasks.metrics.listed import KNOWN
from pytest_lmeval.tasks.spec import TaskSpec


def check_gate_metrics(spec: TaskSpec, metrics: Collection[str], filters: Collection[str]) -> None:
    """Raise TaskFileError where the gate names a metric that the task will not have, before the model is asked.

    Functions may report metrics of any name: with them only the result tells.
    """
    if spec.process_results is not None or any(name not in KNOWN for name in metrics):
        return
    known = {*metrics, *(metric_key(name, filter_name) for name in metrics for filter_name in filters)}
    for inside, rules in _rules(parse_gate(spec.gate)):
        for key in rules:
            if _plain(key) not in known:
                # What is neither a setting nor a metric is taken for a metric; it may have been meant as either.
                meant = nearest(key, (*known, *OTHER_KEYS)) or suggestion(key, known, "Its metrics")
                problem = f"gate.{key}: the task has no such metric.{meant}"
                raise spec.document.error(problem, "gate", *inside, key)


def _plain(key: str) -> str:
    """Without what a model that gives no log-likelihoods adds: ``acc`` of ``acc@letters``."""
    name, comma, chosen = key.partition(",")
    return f"{name.partition('@')[0]}{comma}{chosen}"


def _rules(policy: GatePolicy) -> Iterator[tuple[tuple[str, ...], Collection[str]]]:
    yield (), policy.general.rules
    for override in policy.models:
        yield ("models", override.pattern), override.rules
