"""Generate the JSON Schema (draft 2020-12) of task files from the dataclasses they are read into.

One schema serves every kind of file: tasks, groups, and files that are only included. No key is required, since an
included file may bring it; every key may be empty, which is its default. ``!function`` values are texts to a schema.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from pytest_lmeval.gate.layers import SHARE_PATTERN
from pytest_lmeval.gate.margin import MARGIN_PATTERN
from pytest_lmeval.gate.settings import PRESETS, Consequence, FloorMode, Mode
from pytest_lmeval.schema import descriptions
from pytest_lmeval.tasks.aggregation import AGGREGATIONS
from pytest_lmeval.tasks.filters import FILTERS
from pytest_lmeval.tasks.groups import GROUP_KEYS
from pytest_lmeval.tasks.metrics.listed import KNOWN
from pytest_lmeval.tasks.spec import CLASS_KEYS, IGNORED_KEYS, OUTPUT_TYPES, FewshotSpec, TaskSpec
from pytest_lmeval.tasks.yaml_loader import FunctionReference

Schema = dict[str, Any]

PATH = Path(__file__).parent / "task.schema.json"
DIALECT = "https://json-schema.org/draft/2020-12/schema"

_JSON_TYPES = {str: "string", bool: "boolean", int: "integer", float: "number", NoneType: "null"}


def task_schema() -> Schema:
    """Return the schema of task files. Raises KeyError for a key without a description."""
    task = _task_properties()
    return {
        "$schema": DIALECT,
        "title": "Task file of pytest-lmeval and lm-evaluation-harness",
        "type": "object",
        "if": {"required": ["class"]},
        "then": {"$ref": "#/$defs/class"},
        "else": {
            "if": {"required": ["group"]},
            "then": {"$ref": "#/$defs/group"},
            "else": {"$ref": "#/$defs/task"},
        },
        "$defs": {
            "task": _closed(task),
            "class": _class(),
            "group": _closed(_group_properties(task)),
            "member": _member(task),
            "aggregate": _aggregate(),
            "gate": _gate(models=True),
            "rule": _rule(),
        },
    }


def task_schema_text() -> str:
    """Return the schema as it is committed."""
    return json.dumps(task_schema(), indent=2, ensure_ascii=False) + "\n"


def _task_properties() -> Schema:
    special = {
        "tag": _names(),
        "output_type": {"enum": [*OUTPUT_TYPES, None], "default": "generate_until"},
        "num_fewshot": {"type": ["integer", "null"], "minimum": 0},
        "repeats": {"type": ["integer", "null"], "minimum": 1, "default": 1},
        "fewshot_config": _fewshot(),
        "dataset_kwargs": {"type": ["object", "null"]},
        "metric_list": _list_of(_metric()),
        "filter_list": _list_of(_filter_pipeline()),
        "generation_kwargs": _generation(),
        "metadata": {"type": ["object", "null"]},
        "gate": {"$ref": "#/$defs/gate"},
    }
    own = _properties(TaskSpec, descriptions.TASK, special, without=("document", "python_class"))
    other = {"include": _names(), **{key: {} for key in IGNORED_KEYS}}
    return {**own, **_described(other, descriptions.OTHER)}


def _class() -> Schema:
    """A Python task: the keys that are ours; whatever else stands in it is for its class."""
    shared = {key: {"$ref": f"#/$defs/task/properties/{key}"} for key in CLASS_KEYS}
    own = _described({"class": {"type": "string"}}, descriptions.OTHER)
    return {"type": "object", "properties": {**own, **shared}, "required": ["class"]}


def _group_properties(task: Schema) -> Schema:
    """A group's own keys; its other keys change its tasks."""
    own: Schema = {
        "group": {"type": "string"},
        "group_alias": {"type": ["string", "null"]},
        "task": {"type": ["string", "array"], "items": {"$ref": "#/$defs/member"}},
        "aggregate_metric_list": {"anyOf": [_list_of({"$ref": "#/$defs/aggregate"}), {"$ref": "#/$defs/aggregate"}]},
    }
    shared = {key: {"$ref": f"#/$defs/task/properties/{key}"} for key in task if key not in own}
    missing = GROUP_KEYS - own.keys() - shared.keys()
    if missing:
        raise KeyError(f"keys of groups that the schema does not know: {sorted(missing)}")
    return {**_described(own, descriptions.GROUP), **shared}


def _member(task: Schema) -> Schema:
    """A name, or a mapping: editors word a mistake better for several types than for several schemas."""
    named = [{"type": "string"}, {"required": ["task"]}, {"required": ["group"]}]
    return {**_closed(_group_properties(task)), "type": ["string", "object"], "anyOf": named}


def _aggregate() -> Schema:
    own: Schema = {
        "metric": {"type": "string"},
        "aggregation": {"enum": ["mean", None]},
        # lm-evaluation-harness takes any value that Python takes for true.
        "weight_by_size": {"type": ["boolean", "string", "null"], "default": True},
        "filter_list": _names(),
    }
    return {**_closed(_described(own, descriptions.AGGREGATE)), "required": ["metric"]}


def _fewshot() -> Schema:
    special: Schema = {
        "sampler": {"type": ["string", "null"], "examples": ["default", "first_n"], "default": "default"},
        "samples": {"type": ["array", "string", "null"], "items": {"type": "object"}},
        "fewshot_indices": {"type": ["array", "null"], "items": {"type": "integer"}},
    }
    own = _properties(FewshotSpec, descriptions.FEWSHOT, special)
    number = _described({"num_fewshot": {"type": ["integer", "null"]}}, descriptions.FEWSHOT)
    return {**_closed({**own, **number}), "type": ["object", "null"]}


def _metric() -> Schema:
    own: Schema = {
        "metric": {"type": "string", "examples": sorted(KNOWN)},
        "aggregation": {"type": ["string", "null"], "examples": sorted(AGGREGATIONS)},
        "higher_is_better": {"type": ["boolean", "null"]},
        "hf_evaluate": {"type": "boolean"},
        # Anything that Python takes for true counts, and such files exist.
        **{key: {"type": ["boolean", "string"]} for key in ("ignore_case", "ignore_punctuation", "ignore_numbers")},
        "regexes_to_ignore": {"type": "array", "items": {"type": "string"}},
    }
    return _open(_described(own, descriptions.METRIC), "metric")


def _filter_pipeline() -> Schema:
    step = {"function": {"type": "string", "examples": sorted((*FILTERS, "custom"))}}
    steps = {"type": "array", "items": _open(_described(step, descriptions.FILTERS), "function")}
    own = _described({"name": {"type": "string"}, "filter": steps}, descriptions.FILTERS)
    return {**_closed(own), "required": ["name", "filter"]}


def _generation() -> Schema:
    own = {
        "until": _names(),
        "max_gen_toks": {"type": ["integer", "null"], "minimum": 1},
        "do_sample": {"type": ["boolean", "null"]},
        "temperature": {"type": ["number", "null"], "minimum": 0},
        "top_p": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
        "top_k": {"type": ["integer", "null"]},
    }
    return {"type": ["object", "null"], "properties": _described(own, descriptions.GENERATION)}


def _gate(*, models: bool) -> Schema:
    own = _described({**_settings(), **(_columns() if models else {})}, descriptions.GATE)
    if models:
        nested = {**_gate(models=False), "type": "object"}
        patterns = {"models": {"type": "object", "additionalProperties": nested}}
        own = {**own, **_described(patterns, descriptions.GATE)}
    else:
        own = {**own, "models": False, **dict.fromkeys(_columns(), False)}
    return {"type": ["object", "null"], "properties": own, "additionalProperties": {"$ref": "#/$defs/rule"}}


def _settings() -> dict[str, Schema]:
    rate: Schema = {"type": ["number", "string"], "pattern": f"^{SHARE_PATTERN}$"}
    return {
        "preset": _one_of(PRESETS),
        "mode": _one_of(Mode),
        "margin": _margin(),
        "min_effect": _margin(),
        "alpha": rate,
        "alpha_warn": rate,
        "on_inconclusive": _one_of(Consequence),
        "on_drift": _one_of(Consequence),
        "max_error_rate": rate,
        "floor": _one_of(FloorMode),
    }


def _one_of(names: Iterable[str]) -> Schema:
    known = [str(name) for name in names]
    # A bare `off` is the boolean false to YAML 1.1.
    return {"enum": [*known, *([False] if "off" in known else [])]}


def _margin() -> Schema:
    return {"type": ["number", "string"], "minimum": 0, "pattern": f"^{MARGIN_PATTERN}$"}


def _columns() -> dict[str, Schema]:
    return {
        "cluster": {"type": "string", "minLength": 1},
        "slices": {"type": ["string", "array"], "items": {"type": "string", "minLength": 1}},
    }


def _rule() -> Schema:
    numbers: dict[str, Schema] = {"min": {"type": "number"}, "max": {"type": "number"}, "margin": _margin()}
    bounds = _described(numbers, descriptions.GATE)
    bare = "A number is the least value that passes, or the largest where lower is better."
    return {"description": bare, **_closed(bounds), "type": ["number", "object"]}


def _properties(
    of: type[Any], texts: Mapping[str, str], special: Mapping[str, Schema], without: Sequence[str] = ()
) -> Schema:
    hints = get_type_hints(of)
    names = [field.name for field in dataclasses.fields(of) if field.name not in without]
    defaults = {field.name: field.default for field in dataclasses.fields(of)}
    found = {name: special.get(name) or _of_hint(hints[name], defaults[name]) for name in names}
    return _described(found, texts)


def _of_hint(hint: Any, default: Any) -> Schema:
    """The schema of a field's annotation; every key may also be empty."""
    kinds = sorted({"null", *_json_types(hint)})
    schema: Schema = {"type": kinds[0] if len(kinds) == 1 else kinds}
    return {**schema, "default": default} if isinstance(default, str | int | float) else schema


def _json_types(hint: Any) -> list[str]:
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        return [kind for part in get_args(hint) for kind in _json_types(part)]
    if hint is FunctionReference:
        return ["string"]
    if hint in _JSON_TYPES:
        return [_JSON_TYPES[hint]]
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return ["object"]
    if isinstance(origin, type) and issubclass(origin, Sequence):
        return ["array"]
    raise TypeError(f"no JSON Schema is known for {hint}")


def _described(properties: Mapping[str, Schema], texts: Mapping[str, str]) -> Schema:
    return {key: {"description": texts[key], **schema} for key, schema in properties.items()}


def _names() -> Schema:
    return {"type": ["string", "array", "null"], "items": {"type": "string"}}


def _list_of(item: Schema) -> Schema:
    return {"type": ["array", "null"], "items": item}


def _closed(properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _open(properties: Schema, required: str) -> Schema:
    """A mapping whose other keys are arguments of whatever ``required`` names."""
    return {"type": "object", "properties": properties, "required": [required]}
