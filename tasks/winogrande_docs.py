"""WinoGrande rows as partial evaluation: one context per filler, one shared continuation."""

from __future__ import annotations

from typing import Any


def gold_index(doc: dict[str, Any]) -> int:
    """Return which context is right; an integer here is what makes this a task of several contexts."""
    return {"1": 0, "2": 1}[doc["answer"]]


def contexts(doc: dict[str, Any]) -> list[str]:
    """Return the sentence up to the blank, with each of the two fillers in its place."""
    before, _ = doc["sentence"].split("_", 1)
    return [before + doc["option1"], before + doc["option2"]]


def rest_of_sentence(doc: dict[str, Any]) -> str:
    """Return the sentence after the blank: what is scored."""
    _, after = doc["sentence"].split("_", 1)
    return str(after).strip()
