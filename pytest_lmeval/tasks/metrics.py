"""The metrics a task asks for: name, arguments, how they aggregate, which direction is better."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_lmeval.tasks.aggregation import AGGREGATIONS, Aggregation
from pytest_lmeval.tasks.functions import resolve
from pytest_lmeval.tasks.spec import TaskSpec
from pytest_lmeval.tasks.yaml_loader import FunctionReference

# metric: (aggregation, higher is better)
_KNOWN = {
    "acc": ("mean", True),
    "acc_norm": ("mean", True),
    "acc_bytes": ("mean", True),
    "acc_mutual_info": ("mean", True),
    "exact_match": ("mean", True),
    "perplexity": ("perplexity", False),
    "word_perplexity": ("weighted_perplexity", False),
    "byte_perplexity": ("weighted_perplexity", False),
    "bits_per_byte": ("bits_per_byte", False),
    "bypass": ("bypass", True),
}

_DEFAULTS = {
    "loglikelihood": ("perplexity", "acc"),
    "loglikelihood_rolling": ("word_perplexity", "byte_perplexity", "bits_per_byte"),
    "multiple_choice": ("acc", "acc_norm"),
    "generate_until": ("exact_match",),
}

_SETTINGS = ("metric", "aggregation", "higher_is_better", "hf_evaluate")


@dataclass(frozen=True, slots=True)
class Metric:
    """One entry of ``metric_list``. ``function`` is the task's own, called with references and predictions."""

    name: str
    aggregation: Aggregation
    higher_is_better: bool
    arguments: Mapping[str, Any] = field(default_factory=dict)
    function: Callable[..., Any] | None = None


def metrics_of(spec: TaskSpec) -> dict[str, Metric]:
    """Return the task's metrics by name, in the order of the file."""
    entries = spec.metric_list or [{"metric": name} for name in _DEFAULTS[spec.output_type]]
    return {m.name: m for m in (_metric(spec, entry) for entry in entries)}


def _metric(spec: TaskSpec, entry: Mapping[str, Any]) -> Metric:
    if not isinstance(entry, Mapping) or "metric" not in entry:
        raise _error(spec, f"each entry needs a 'metric', found {entry!r}")
    given = entry["metric"]
    function = resolve(given) if isinstance(given, FunctionReference) else None
    name = function.__name__ if function else str(given)
    if name not in _KNOWN and function is None and spec.process_results is None:
        raise _error(spec, f"unknown metric {name!r}. Known metrics: {', '.join(sorted(_KNOWN))}")
    return Metric(
        name=name,
        aggregation=_aggregation(spec, name, entry.get("aggregation")),
        higher_is_better=bool(entry.get("higher_is_better", _KNOWN.get(name, ("", True))[1])),
        arguments={k: v for k, v in entry.items() if k not in _SETTINGS},
        function=function,
    )


def _aggregation(spec: TaskSpec, metric: str, given: Any) -> Aggregation:
    if isinstance(given, FunctionReference):
        return Aggregation(given.qualified_name, resolve(given))
    name = given if given is not None else _KNOWN.get(metric, (None,))[0]
    if name is None:
        raise _error(spec, f"metric {metric!r} needs an 'aggregation' (mean, median …)")
    if name not in AGGREGATIONS:
        known = ", ".join(sorted(AGGREGATIONS))
        raise _error(spec, f"unknown aggregation {name!r} of {metric}. Known aggregations: {known}")
    return AGGREGATIONS[name]


def _error(spec: TaskSpec, problem: str) -> Exception:
    return spec.document.error(f"metric_list: {problem}", "metric_list")


def exact_match(
    prediction: str,
    reference: str,
    *,
    regexes_to_ignore: list[str] | None = None,
    ignore_case: bool = False,
    ignore_punctuation: bool = False,
    ignore_numbers: bool = False,
) -> float:
    """1.0 where both texts are equal after what is ignored is removed from both, in the reference's order."""

    def normalise(text: str) -> str:
        for pattern in regexes_to_ignore or ():
            text = re.sub(pattern, "", text)
        text = text.lower() if ignore_case else text
        text = text.translate(_WITHOUT_PUNCTUATION) if ignore_punctuation else text
        return text.translate(_WITHOUT_DIGITS) if ignore_numbers else text

    return float(normalise(prediction) == normalise(reference))


_WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)
_WITHOUT_DIGITS = str.maketrans("", "", string.digits)
