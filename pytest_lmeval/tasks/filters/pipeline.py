"""The pipelines that ``filter_list`` describes, each by its name."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

from pytest_lmeval.errors import LMEvalError
from pytest_lmeval.suggestions import missing_key, suggestion
from pytest_lmeval.tasks.filters.base import Documents, Filter
from pytest_lmeval.tasks.filters.extraction import multi_choice_regex, regex
from pytest_lmeval.tasks.filters.selection import majority_vote, take_first, take_first_k
from pytest_lmeval.tasks.filters.tagging import format_span, regex_pos
from pytest_lmeval.tasks.filters.transformation import (
    decontaminate,
    lowercase,
    map_values,
    remove_whitespace,
    uppercase,
)
from pytest_lmeval.tasks.functions import resolve
from pytest_lmeval.tasks.registrations import registered
from pytest_lmeval.tasks.spec import TaskSpec
from pytest_lmeval.tasks.yaml_loader import FunctionReference

FILTERS: dict[str, Callable[..., Filter]] = {
    "take_first": take_first,
    "take_first_k": take_first_k,
    "majority_vote": majority_vote,
    "regex": regex,
    "regex_pos": regex_pos,
    "remove_whitespace": remove_whitespace,
    "lowercase": lowercase,
    "uppercase": uppercase,
    "map": map_values,
    "multi_choice_regex": multi_choice_regex,
    "format_span": format_span,
    "decontaminate": decontaminate,
}


def pipelines(spec: TaskSpec) -> dict[str, Filter]:
    """Build the task's pipelines by name; without ``filter_list`` it is ``none``: the first response."""
    if spec.filter_list is None:
        return {"none": take_first()}
    return dict(_at(spec, place, entry) for place, entry in enumerate(spec.filter_list))


def own_filters(spec: TaskSpec) -> bool:
    """Whether the task brings filters of its own: they are given the responses of all documents at once."""
    steps = [step for entry in spec.filter_list or () for step in entry["filter"]]
    return any(not isinstance(step["function"], str) or step["function"] not in FILTERS for step in steps)


def _at(spec: TaskSpec, place: int, entry: Mapping[str, Any]) -> tuple[str, Filter]:
    with spec.document.reading("filter_list", place):
        return _name(spec, entry), _pipeline(spec, place, entry)


def _name(spec: TaskSpec, entry: Mapping[str, Any]) -> str:
    name = entry.get("name") if isinstance(entry, Mapping) else None
    if not isinstance(name, str) or not isinstance(entry.get("filter"), list):
        hint = missing_key("name", entry) or missing_key("filter", entry)
        raise _error(spec, f"expected name and filter, found {entry!r}{hint}")
    return name


def _pipeline(spec: TaskSpec, place: int, entry: Mapping[str, Any]) -> Filter:
    steps = []
    for number, step in enumerate(entry["filter"]):
        with spec.document.reading("filter_list", place, "filter", number):
            steps.append(_step(spec, step))

    def run(responses: Any, documents: Documents) -> Any:
        for step in steps:
            responses = step(responses, documents)
        # A last step may be lazy; what leaves the pipeline can be read twice.
        return list(responses)

    return run


def _step(spec: TaskSpec, step: Mapping[str, Any]) -> Filter:
    if not isinstance(step, Mapping):
        raise _error(spec, f"expected a mapping with 'function', found {step!r}")
    arguments = {key: value for key, value in step.items() if key != "function"}
    function = step.get("function")
    if isinstance(function, FunctionReference):
        return _of_class(spec, str(function), resolve(function), arguments)
    if function == "custom":
        return _custom(spec, arguments.get("filter_fn"))
    if function not in FILTERS:
        own = registered(spec, "filter", str(function))
        if own is None:
            raise _unknown(spec, step)
        return _of_class(spec, str(function), own, arguments)
    _check_arguments(spec, function, arguments)
    try:
        return FILTERS[function](**arguments)
    except (TypeError, re.error) as error:
        raise _error(spec, f"{function}: {error}") from None


def _check_arguments(spec: TaskSpec, function: str, arguments: Mapping[str, Any]) -> None:
    known = inspect.signature(FILTERS[function]).parameters
    for name in arguments:
        if name not in known:
            hint = suggestion(name, known, "Its arguments") if known else " It has none."
            raise _error(spec, f"{function} has no argument {name!r}.{hint}")


def _unknown(spec: TaskSpec, step: Mapping[str, Any]) -> LMEvalError:
    if "function" not in step:
        return _error(spec, f"expected a mapping with 'function', found {step!r}{missing_key('function', step)}")
    function = step["function"]
    return _error(spec, f"unknown filter {function!r}.{suggestion(function, (*FILTERS, 'custom'), 'Known filters')}")


def _custom(spec: TaskSpec, given: Any) -> Filter:
    if not isinstance(given, FunctionReference):
        raise _error(spec, f"custom needs filter_fn: !function module.name, found {given!r}")
    return resolve(given)


def _of_class(spec: TaskSpec, name: str, make: Callable[..., Any], arguments: Mapping[str, Any]) -> Filter:
    """Return ``apply`` of a class of the task's own: it sees the responses of all documents at once."""
    try:
        apply: Filter = make(**arguments).apply
    except LMEvalError:
        raise
    except Exception as error:  # the task's own class may raise anything
        raise _error(spec, f"{name}: {type(error).__name__}: {error}") from error
    return apply


def _error(spec: TaskSpec, problem: str) -> LMEvalError:
    return spec.document.error(f"filter_list: {problem}", "filter_list")
