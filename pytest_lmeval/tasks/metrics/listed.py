"""The metrics a task asks for: how they compare and aggregate, and which direction is better."""

from __future__ import annotations

import importlib.util
import inspect
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from pytest_lmeval.errors import LMEvalError, UserError
from pytest_lmeval.suggestions import missing_key, suggestion
from pytest_lmeval.tasks.aggregation import AGGREGATIONS, Aggregation
from pytest_lmeval.tasks.functions import resolve
from pytest_lmeval.tasks.metrics import evaluated
from pytest_lmeval.tasks.metrics.comparing import Compare, calling, nothing, pair
from pytest_lmeval.tasks.metrics.matching import exact_match, share_matching
from pytest_lmeval.tasks.registrations import registered, registered_aggregation
from pytest_lmeval.tasks.spec import TaskSpec
from pytest_lmeval.tasks.yaml_loader import FunctionReference

#: metric: (aggregation, higher is better)
KNOWN = {
    "acc": ("mean", True),
    "acc_norm": ("mean", True),
    "acc_bytes": ("mean", True),
    "acc_mutual_info": ("mean", True),
    "acc_all": ("mean", True),
    "exact_match": ("mean", True),
    "f1": ("f1", True),
    "mcc": ("matthews_corrcoef", True),
    "brier_score": ("brier_score", False),
    "likelihood": ("mean", True),
    "perplexity": ("perplexity", False),
    "word_perplexity": ("weighted_perplexity", False),
    "byte_perplexity": ("weighted_perplexity", False),
    "bits_per_byte": ("bits_per_byte", False),
    "bleu": ("bleu", True),
    "chrf": ("chrf", True),
    "chrf++": ("chrf++", True),
    "ter": ("ter", False),
    "bypass": ("bypass", True),
}

#: The metrics of a task that lists none, by its output type.
DEFAULTS = {
    "loglikelihood": ("perplexity", "acc"),
    "loglikelihood_rolling": ("word_perplexity", "byte_perplexity", "bits_per_byte"),
    "multiple_choice": ("acc", "acc_norm"),
    "generate_until": ("exact_match",),
}

_SETTINGS = ("metric", "aggregation", "higher_is_better", "hf_evaluate")


@dataclass(frozen=True, slots=True)
class Metric:
    """One entry of ``metric_list``. ``compare`` is there where the metric scores generated text."""

    name: str
    aggregation: Aggregation
    higher_is_better: bool
    compare: Compare | None = None


def metrics_of(spec: TaskSpec) -> dict[str, Metric]:
    """Return the task's metrics by name, in the order of the file; of equal names the last counts.

    Raises TaskFileError for names and arguments that do not exist, UserError for a package that is missing.
    """
    entries = spec.metric_list or [{"metric": name} for name in DEFAULTS[spec.output_type]]
    return {m.name: m for m in (_at(spec, place, entry) for place, entry in enumerate(entries))}


def _at(spec: TaskSpec, place: int, entry: Mapping[str, Any]) -> Metric:
    with spec.document.reading("metric_list", place):
        return _metric(spec, entry)


def repeated(spec: TaskSpec) -> dict[str, int]:
    """Return the names that are listed several times, and how often: two functions may have one name."""
    given = [entry["metric"] for entry in spec.metric_list or ()]
    names = Counter(_qualified(metric).rpartition(".")[2] for metric in given)
    return {name: count for name, count in names.items() if count > 1}


def _qualified(metric: Any) -> str:
    return metric.qualified_name if isinstance(metric, FunctionReference) else str(metric)


def _metric(spec: TaskSpec, entry: Mapping[str, Any]) -> Metric:
    if not isinstance(entry, Mapping) or "metric" not in entry:
        raise _error(spec, f"each entry needs a 'metric', found {entry!r}{missing_key('metric', entry)}")
    given = entry["metric"]
    function = resolve(given) if isinstance(given, FunctionReference) else None
    name = function.__name__ if function else str(given)
    # First whether there is such a metric, then the rest of what is said of it.
    compare = _compare(spec, name, function, entry)
    aggregation = _aggregation(spec, name, entry.get("aggregation"))
    return Metric(name, aggregation, _higher_is_better(spec, name, entry), compare)


def _higher_is_better(spec: TaskSpec, name: str, entry: Mapping[str, Any]) -> bool:
    if "higher_is_better" in entry:
        return bool(entry["higher_is_better"])
    if name in KNOWN:
        return KNOWN[name][1]
    return registered(spec, "higher_is_better", name) is not False


def _compare(
    spec: TaskSpec, name: str, function: Callable[..., Any] | None, entry: Mapping[str, Any]
) -> Compare | None:
    """Find what scores generated text. What else is scored is so by its kind of task, or by ``process_results``."""
    if spec.process_results is not None:
        return None
    arguments = {key: value for key, value in entry.items() if key not in _SETTINGS}
    from_evaluate = entry.get("hf_evaluate") is True
    if spec.output_type != "generate_until":
        _check_name(spec, name, function, from_evaluate)
        return None
    if function is None and not from_evaluate and name in KNOWN:
        return _built_in(spec, name, arguments)
    function = function or (None if from_evaluate else registered(spec, "metric", name))
    return _calling(spec, name, function or _from_evaluate(spec, name, from_evaluate), arguments)


def _built_in(spec: TaskSpec, name: str, arguments: Mapping[str, Any]) -> Compare | None:
    if name == "bypass":
        return nothing
    if name == "acc_all":
        # It needs the documents, which only process_results sees.
        return None
    # The others leave the pair to their aggregation; what else an entry says has no effect on it.
    return partial(share_matching, **_checked(spec, arguments)) if name == "exact_match" else pair


def _checked(spec: TaskSpec, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    known = [name for name, p in inspect.signature(exact_match).parameters.items() if p.kind is p.KEYWORD_ONLY]
    for name in arguments:
        if name not in known:
            hint = suggestion(name, known, "Its arguments")
            raise _error(spec, f"exact_match has no argument {name!r}.{hint}")
    return arguments


def _calling(spec: TaskSpec, name: str, function: Callable[..., Any], arguments: Mapping[str, Any]) -> Compare:
    try:
        return calling(function, arguments)
    except TypeError as error:
        raise _error(spec, f"{name} {error}") from None


def _check_name(spec: TaskSpec, name: str, function: Callable[..., Any] | None, from_evaluate: bool) -> None:
    if function is None and not from_evaluate and name not in KNOWN and registered(spec, "metric", name) is None:
        raise _unknown(spec, name)


def _from_evaluate(spec: TaskSpec, name: str, asked_for: bool) -> Callable[..., Any]:
    if name in evaluated.NATIVE:
        function, package = evaluated.NATIVE[name]
        _check_package(spec, name, package)
        return function
    if not asked_for and name not in evaluated.ELSEWHERE:
        raise _unknown(spec, name)
    try:
        return evaluated.load(name)
    except UserError as error:
        raise _error(spec, str(error)) from None


def _unknown(spec: TaskSpec, name: str) -> LMEvalError:
    known = {*KNOWN, *(evaluated.NATIVE if spec.output_type == "generate_until" else ())}
    others = "hf_evaluate: true finds others in the evaluate package"
    return _error(spec, f"unknown metric {name!r}.{suggestion(name, known, 'Known metrics')} ({others})")


def _aggregation(spec: TaskSpec, metric: str, given: Any) -> Aggregation:
    if isinstance(given, FunctionReference):
        return Aggregation.own(given.qualified_name, resolve(given))
    name = given or KNOWN.get(metric, (None,))[0] or registered_aggregation(spec, metric)
    if name is None:
        raise _error(spec, f"metric {metric!r} needs an 'aggregation' (mean, median …)")
    if name not in AGGREGATIONS:
        own = registered(spec, "aggregation", str(name))
        if own is None:
            hint = suggestion(name, AGGREGATIONS, "Known aggregations")
            raise _error(spec, f"unknown aggregation {name!r} of {metric}.{hint}")
        return Aggregation.own(str(name), own)
    _check_package(spec, metric, AGGREGATIONS[name].package)
    return AGGREGATIONS[name]


def _check_package(spec: TaskSpec, metric: str, package: str | None) -> None:
    if package is not None and importlib.util.find_spec(package) is None:
        wanted = {"sklearn": "scikit-learn"}.get(package, package)
        raise _error(spec, f"{metric} needs {wanted}: pip install 'pytest-lmeval[metrics]'")


def _error(spec: TaskSpec, problem: str) -> LMEvalError:
    return spec.document.error(f"metric_list: {problem}", "metric_list")
