"""Answer filters: what happens to a response between the model and the metric.

A pipeline maps the responses of every document (a list per request, one entry per repeat) to filtered ones.
Names and behaviour are the reference's (``lm_eval.filters``).
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from pytest_lmeval.tasks.functions import resolve
from pytest_lmeval.tasks.spec import TaskSpec
from pytest_lmeval.tasks.yaml_loader import FunctionReference

Responses = list[list[Any]]
Documents = Sequence[Mapping[str, Any]]
Filter = Callable[[Any, Documents], Any]


def pipelines(spec: TaskSpec) -> dict[str, Filter]:
    """Build the task's pipelines by name; without ``filter_list`` it is ``none``: the first response."""
    if spec.filter_list is None:
        return {"none": take_first()}
    return {_name(spec, entry): _pipeline(spec, entry) for entry in spec.filter_list}


def _name(spec: TaskSpec, entry: Mapping[str, Any]) -> str:
    name = entry.get("name") if isinstance(entry, Mapping) else None
    if not isinstance(name, str) or not isinstance(entry.get("filter"), list):
        raise spec.document.error(f"filter_list: expected name and filter, found {entry!r}", "filter_list")
    return name


def _pipeline(spec: TaskSpec, entry: Mapping[str, Any]) -> Filter:
    steps = [_step(spec, step) for step in entry["filter"]]

    def run(responses: Any, documents: Documents) -> Any:
        for step in steps:
            responses = step(responses, documents)
        # A last step may be lazy; what leaves the pipeline can be read twice.
        return list(responses)

    return run


def _step(spec: TaskSpec, step: Mapping[str, Any]) -> Filter:
    if not isinstance(step, Mapping):
        raise spec.document.error(f"filter_list: expected a mapping with 'function', found {step!r}", "filter_list")
    arguments = {key: value for key, value in step.items() if key != "function"}
    function = step.get("function")
    if isinstance(function, FunctionReference):
        return _own_class(function, arguments)
    if function == "custom" and isinstance(arguments.get("filter_fn"), FunctionReference):
        return resolve(arguments["filter_fn"])
    if function not in FILTERS:
        known = ", ".join(sorted((*FILTERS, "custom")))
        raise spec.document.error(f"filter_list: unknown filter {function!r}. Known filters: {known}", "filter_list")
    try:
        return FILTERS[function](**arguments)
    except (TypeError, re.error) as error:
        raise spec.document.error(f"filter_list: {function}: {error}", "filter_list") from None


def _own_class(reference: FunctionReference, arguments: Mapping[str, Any]) -> Filter:
    apply: Filter = resolve(reference)(**arguments).apply
    return apply


def _each(function: Callable[[Any], Any]) -> Filter:
    return lambda responses, documents: [[function(r) for r in row] for row in responses]


def take_first() -> Filter:
    """Keep the first response of each request, without its list."""
    return lambda responses, documents: [row[0] for row in responses]


def take_first_k(k: int) -> Filter:
    """Keep the first ``k`` responses of each request."""

    def run(responses: Responses, documents: Documents) -> Responses:
        if responses and len(responses[0]) < k:
            raise ValueError(f"take_first_k: {k} responses needed, {len(responses[0])} there: raise repeats")
        return [row[:k] for row in responses]

    return run


def majority_vote() -> Filter:
    """Keep the most frequent response; among equals the one seen first."""
    return lambda responses, documents: [[Counter(row).most_common(1)[0][0]] for row in responses]


def regex(regex_pattern: str = r"#### (\-?[0-9\.\,]+)", group_select: int = 0, fallback: str = "[invalid]") -> Filter:
    """Extract match number ``group_select`` (from the end where negative), its first non-empty group."""
    pattern = re.compile(regex_pattern)

    def extract(response: Any) -> str:
        found = pattern.findall(response) if isinstance(response, str) else []
        if not found:
            return fallback
        match = found[group_select]
        if isinstance(match, tuple):
            match = next((group for group in match if group), fallback)
        return str(match).strip()

    return _each(extract)


def map_values(mapping_dict: Mapping[Any, Any], default_value: Any = None) -> Filter:
    """Replace each response by its entry in ``mapping_dict``."""
    return _each(lambda response: mapping_dict.get(response, default_value))


@lru_cache(maxsize=1)
def _punctuation() -> dict[int, None]:
    return dict.fromkeys(c for c in range(sys.maxunicode) if unicodedata.category(chr(c)).startswith("P"))


def multi_choice_regex(
    regex_pattern: str = r"#### (\-?[0-9\.\,]+)",
    group_select: int = 0,
    fallback: str = "[invalid]",
    ignore_case: bool = False,
    ignore_punctuation: bool = False,
    regexes_to_ignore: Sequence[str] | None = None,
) -> Filter:
    """Find the letter of a choice: by the pattern, else by the choice's text, else by a letter after a colon."""
    pattern = re.compile(regex_pattern)

    def normalise(text: str) -> str:
        for ignored in regexes_to_ignore or ():
            text = re.sub(ignored, "", text)
        text = text.lower() if ignore_case else text
        return text.translate(_punctuation()) if ignore_punctuation else text

    def extract(response: Any, choices: Sequence[str]) -> str:
        response = response if isinstance(response, str) else ""
        labels = {chr(65 + i): f"({chr(65 + i)})" for i in range(len(choices))}
        texts = {normalise(choice.strip()): f"({chr(65 + i)})" for i, choice in enumerate(choices)}
        # Longest first: a choice that begins another one must not hide it.
        by_text = re.compile("|".join(sorted(map(re.escape, texts), key=len, reverse=True)))
        by_label = re.compile(rf":[\s]*({'|'.join(labels)})")
        return (
            _selected(pattern, response, group_select, {})
            or _selected(by_text, normalise(response), group_select, texts)
            or _selected(by_label, response, group_select, labels)
            or fallback
        )

    def run(responses: Responses, documents: Documents) -> Responses:
        pairs = zip(responses, documents, strict=True)
        return [[extract(r, document["choices"]) for r in row] for row, document in pairs]

    return run


def _selected(pattern: re.Pattern[str], text: str, index: int, labels: Mapping[str, str]) -> str:
    found = pattern.findall(text)
    match = found[index] if found else ""
    if isinstance(match, tuple):
        match = next((group for group in match if group), "")
    match = str(match).strip()
    return labels.get(match, match)


FILTERS: dict[str, Callable[..., Filter]] = {
    "take_first": take_first,
    "take_first_k": take_first_k,
    "majority_vote": majority_vote,
    "regex": regex,
    "remove_whitespace": lambda: _each(str.strip),
    "lowercase": lambda: _each(str.lower),
    "uppercase": lambda: _each(str.upper),
    "map": map_values,
    "multi_choice_regex": multi_choice_regex,
}
