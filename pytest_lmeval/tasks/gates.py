"""Check the ``gate:`` of a task or group file when the file is read, and not only when there is something to judge."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_lmeval.gate.policy import GateSyntaxError, parse_gate
from pytest_lmeval.tasks.yaml_loader import TaskDocument


def check_gate(document: TaskDocument) -> None:
    """Raise TaskFileError, at the line of the entry, where the gate cannot be used."""
    gate = document.data.get("gate")
    try:
        parse_gate(gate)
    except GateSyntaxError as error:
        raise document.error(str(error), "gate", *_keys(gate, error.path.removeprefix("gate."))) from None


def _keys(value: Any, path: str) -> tuple[str, ...]:
    """Split a path at the keys there are: a pattern on models may contain a dot."""
    if not isinstance(value, Mapping):
        return ()
    names = [str(key) for key in value if f"{path}.".startswith(f"{key}.")]
    name = max(names, key=len, default=None)
    if name is None:
        # The key itself was refused, or one that is missing.
        return ()
    return (name, *_keys(value.get(name), path[len(name) + 1 :]))
