"""On which line of a task file something inside a key stands. Looked up anew, and only for the sake of an error."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

Keys = Sequence[str | int]

_Loader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def line_of(path: Path, keys: Keys) -> int | None:
    """Return the line of the entry that ``keys`` lead to, counted from 1; None where they lead nowhere in the file."""
    found = _find(path, keys)
    return None if found is None else found[0].start_mark.line + 1


def line_of_text(path: Path, keys: Keys, number: int) -> int | None:
    """Return the line of the file that line ``number`` of a text stands on; None where it is not written in lines."""
    found = _find(path, keys)
    if found is None or not isinstance(found[1], yaml.ScalarNode) or found[1].style != "|":
        return None
    # The text begins on the line after the bar.
    return int(found[1].start_mark.line) + 1 + number


def _find(path: Path, keys: Keys) -> tuple[yaml.Node, yaml.Node] | None:
    """Return the node that names the entry (in a list, the entry itself) and the entry's value."""
    try:
        value = yaml.compose(path.read_text(encoding="utf-8"), Loader=_Loader)
    except (OSError, ValueError, yaml.YAMLError):  # it was readable; if no longer, the error has its key's line
        return None
    found: tuple[yaml.Node, yaml.Node] | None = None
    for key in keys:
        found = _step(value, key)
        if found is None:
            return None
        value = found[1]
    return found


def _step(node: yaml.Node | None, key: str | int) -> tuple[yaml.Node, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        # Of equal keys the last one counts, as it does for the value.
        return next(((name, value) for name, value in reversed(node.value) if name.value == str(key)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
        return node.value[key], node.value[key]
    return None
