"""Filters for tasks that tag words: parts of speech and named entities, in the answer formats of AfroBench."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from pytest_lmeval.tasks.filters.base import Filter, each

_TAGGED = re.compile(r"\('([^']*)', '([^']*)'\)")


def regex_pos(
    regex_pattern: str = r"\['(.*?)'\]", group_select: int = 0, fallback: Sequence[str] | None = None
) -> Filter:
    """Read the tags from an answer that lists ``('word', 'TAG')`` pairs; without any, ``fallback``.

    ``regex_pattern`` and ``group_select`` have no effect; so it is in the reference.
    """
    re.compile(regex_pattern)
    without = ["invalid"] if fallback is None else fallback

    def tags(response: Any) -> Any:
        pairs = _TAGGED.findall(response) if isinstance(response, str) else response
        return [tag for _, tag in pairs] or without

    return each(tags)


_LABELS = {
    **dict.fromkeys(("person", "people", "persons", "per"), "PER"),
    **dict.fromkeys(("location", "counties", "places", "country", "continent", "loc"), "LOC"),
    **dict.fromkeys(("organization", "company", "org"), "ORG"),
    **dict.fromkeys(("time", "date"), "DATE"),
}
_LABEL = re.compile(rf"\b({'|'.join(_LABELS)})\s*:")
_LABELLED = re.compile(r"\b(PER|LOC|ORG|DATE):\s*([^$]+)")


def format_span() -> Filter:
    """Rewrite an answer of labelled entities as ``label: entity $ label: entity``, in lower case.

    Labels are spelled in many ways and entities of one label listed with commas; "none" is no entity.
    """
    return each(_spans)


def _spans(response: str) -> str:
    text = _LABEL.sub(lambda match: f"{_LABELS[match[1]]}:", response.lower())
    text = text.replace("$$", "$").rstrip("$").replace("\n", "$").strip()
    entities = [(label, entity.strip()) for label, listed in _LABELLED.findall(text) for entity in listed.split(",")]
    return " $ ".join(f"{label.lower()}: {entity}" for label, entity in entities if entity.lower() != "none")
