"""One hash over everything in a task's files that can change its questions or scores."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_lmeval.tasks.functions import resolve
from pytest_lmeval.tasks.questions import content_hash
from pytest_lmeval.tasks.spec import TaskSpec
from pytest_lmeval.tasks.yaml_loader import FunctionReference

# What a task is called and what is demanded of it does not change what is asked.
_IRRELEVANT = frozenset({"document", "gate", "tag", "task_alias", "metadata"})


def task_hash(spec: TaskSpec) -> str:
    """Return 16 hex digits of SHA-256 over the resolved keys and the source of the functions they name.

    A key that has its default does not count, so that a key added to the format leaves recorded baselines valid.
    """
    return content_hash(_set(spec, without=_IRRELEVANT))[:16]


def _set(value: Any, without: frozenset[str] = frozenset()) -> dict[str, Any]:
    """The fields of a dataclass that differ from their defaults, as plain values."""
    fields = [field for field in dataclasses.fields(value) if field.name not in without]
    return {f.name: _plain(part) for f in fields if (part := getattr(value, f.name)) != _default(f)}


def _default(field: dataclasses.Field[Any]) -> Any:
    made = field.default_factory
    return field.default if made is dataclasses.MISSING else made()


def _plain(value: Any) -> Any:
    if isinstance(value, FunctionReference):
        return [value.qualified_name, _source(value)]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _set(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _source(reference: FunctionReference) -> str:
    try:
        file = inspect.getsourcefile(resolve(reference))
    except TypeError:  # a callable object, or something built in
        return ""
    return content_hash(Path(file).read_text(encoding="utf-8")) if file else ""
