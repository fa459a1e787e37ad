"""Columns of datasets that cannot be told from their uses: facts about the data, written by hand in columns.yaml.

The small language of that file: a mapping is a record, a list of one entry a list of such entries; ``text``,
``long text``, ``int``, ``float``, ``letter``, ``label``; ``one of: […]``; ``json: …`` and ``literal: …`` for
text that holds such a value; ``form: …`` for a text with {text}, {number} and {letter} filled in.
``ALONE: true`` beside the columns says that there are no others.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.conformance.shapes import Shape

_FILE = Path(__file__).with_name("columns.yaml")
_USES = {"int": "number", "float": "float", "label": "label", "text": "text", "flag": "flag"}


@cache
def _table() -> Mapping[str, Mapping[str, Any]]:
    table: Mapping[str, Mapping[str, Any]] = yaml.safe_load(_FILE.read_text(encoding="utf-8")) or {}
    return table


def overlay(shape: Shape, config: Mapping[str, Any]) -> Shape:
    """Put the known columns of the task's dataset over the inferred ones."""
    for pattern, columns in _table().items():
        subject = str(config.get("task") if pattern.startswith("task:") else config.get("dataset_path"))
        if fnmatch.fnmatchcase(subject, pattern.removeprefix("task:")):
            if columns.get("ALONE"):
                shape.fields.clear()
            for name, described in columns.items():
                if name != "ALONE":
                    shape.fields[name] = _shape(name, described)
    return shape


def _shape(name: str, described: Any) -> Shape:
    shape = Shape(name)
    if isinstance(described, list):
        shape.uses.add("iterate")
        shape.item = _shape(f"{name}[]", described[0])
        shape.highest = len(described) - 1
    elif isinstance(described, Mapping):
        _composed(shape, described)
    elif described == "letter":
        shape.add_constants("ABCD")
    else:
        shape.uses.add(_USES[described])
    return shape


def _composed(shape: Shape, described: Mapping[str, Any]) -> None:
    if "one of" in described:
        shape.add_constants(described["one of"])
    elif "form" in described:
        shape.form = described["form"]
    elif "json" in described or "literal" in described:
        use = next(iter(described))
        shape.uses.add(use)
        shape.parsed = _shape(shape.name, described[use])
    else:
        for name, inner in described.items():
            shape.fields[name] = _shape(name, inner)
