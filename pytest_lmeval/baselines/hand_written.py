"""Read a small file that people write by hand, YAML or JSON, into plain values; nothing in it is trusted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_lmeval.errors import BaselineError

MAX_BYTES = 1_000_000
MAX_DEPTH = 10


def read_mapping(path: Path) -> Mapping[str, Any]:
    """Read a mapping whose keys, on every level, are texts and stand there once.

    Raises BaselineError for a file that is unreadable, larger than ``MAX_BYTES``, nested deeper than ``MAX_DEPTH``,
    or that uses what YAML has beyond plain values: tags, anchors, aliases and merges.
    """
    text = _text(path)
    try:
        data = _json(text) if path.suffix == ".json" else _yaml(text)
    except _RefusedError as error:
        raise BaselineError(f"{path}: {error}") from None
    except ValueError:
        # A date that is none, a number of thousands of digits: what Python says of them names no place.
        raise BaselineError(f"{path}: holds a number or a date that cannot be read") from None
    except RecursionError:
        raise BaselineError(f"{path}: nested deeper than {MAX_DEPTH} levels") from None
    if not isinstance(data, dict):
        raise BaselineError(f"{path}: expected a mapping of keys to values, found a {type(data).__name__}")
    return data


class _RefusedError(ValueError):
    """Something in the file that is not read here; the text says what and where."""


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            # One more than allowed: enough to know, whatever the size, also of a device or a pipe.
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise BaselineError(f"{path}: cannot be read: {error.strerror}") from None
    if len(data) > MAX_BYTES:
        raise BaselineError(f"{path}: larger than {MAX_BYTES:,} bytes: not a file of published scores")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BaselineError(f"{path}: not UTF-8 text (byte {error.start})") from None


def _json(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        raise _RefusedError(f"not valid JSON: {error.msg} in line {error.lineno}") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for key, value in pairs:
        if key in data:
            raise _RefusedError(f"{_shown(key)} is given twice")
        data[key] = value
    return data


def _yaml(text: str) -> Any:
    import yaml  # a run without such a file does not pay for it

    try:
        _check_events(text)
        return yaml.load(text, Loader=_loader())
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" in line {mark.line + 1}" if mark else ""
        raise _RefusedError(f"not valid YAML: {getattr(error, 'problem', None) or 'unreadable'}{line}") from None


def _check_events(text: str) -> None:
    """Refuse, before anything is built, what could grow beyond the file's size or overflow the stack."""
    import yaml

    depth = 0
    for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        line = event.start_mark.line + 1 if event.start_mark else 1
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise _RefusedError(f"line {line}: nested deeper than {MAX_DEPTH} levels")
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise _RefusedError(f"line {line}: anchors and aliases are not read here; write the value out")
        if tag := getattr(event, "tag", None):
            raise _RefusedError(f"line {line}: tags are not read here; found {_shown(tag)}")


def _loader() -> type[Any]:
    import yaml

    base: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class Loader(base):  # type: ignore[misc]
        """A safe loader to which a key that is no text, or stands there twice, is a mistake."""

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[str, Any]:
            seen: set[str] = set()
            for key_node, _ in node.value:
                key = self.construct_object(key_node, deep=True)
                line = key_node.start_mark.line + 1
                if not isinstance(key, str):
                    raise _RefusedError(f"line {line}: expected a name, found {_shown(key)}; put it into quotes")
                if key in seen:
                    raise _RefusedError(f"line {line}: {_shown(key)} is given twice")
                seen.add(key)
            found: dict[str, Any] = super().construct_mapping(node, deep=deep)
            return found

    return Loader


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
