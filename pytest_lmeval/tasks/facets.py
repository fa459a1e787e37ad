"""By what results can be broken down: columns of the documents, and how long their prompts were."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pytest_lmeval.gate.policy import parse_gate
from pytest_lmeval.suggestions import suggestion
from pytest_lmeval.tasks.clusters import default_cluster
from pytest_lmeval.tasks.spec import TaskSpec

Document = Mapping[str, Any]

#: The facet of the prompts' lengths, in characters.
PROMPT_LENGTH = "prompt length"

# A column that nobody named is a facet where its values are few, short, and have some documents each.
_MOST_FACETS = 8
_MOST_VALUES = 30
_FEWEST_PER_VALUE = 5
_LONGEST_VALUE = 40
_QUARTERS = 4
# Longer values are cut, and told apart by a hash.
_LONGEST_LABEL = 64
_HASHED = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The columns ``names`` of a task's documents: those that its gate ``slices`` by, and what makes a ``cluster``."""

    names: tuple[str, ...]
    slices: tuple[str, ...]
    cluster: str | None

    @classmethod
    def of(cls, spec: TaskSpec, names: Sequence[str], first: Document) -> Columns:
        """Read the gate. Raises TaskFileError for a column that ``first``, a document, does not have."""
        gate = parse_gate(spec.gate).general
        for key, wanted in (("cluster", (gate.cluster,) if gate.cluster else ()), ("slices", gate.slices)):
            for name in wanted:
                if not _has(first, name):
                    problem = f"gate.{key}: the documents have no column {name!r}."
                    raise spec.document.error(problem + suggestion(name, names, "Their columns"), "gate", key)
        known = default_cluster(spec.dataset_path, spec.dataset_name)
        return cls(
            names=tuple(names),
            slices=gate.slices,
            cluster=gate.cluster or (known if known and _has(first, known) else None),
        )

    def cluster_of(self, document: Document) -> str | None:
        """Return what the document belongs to; equal texts are one cluster."""
        value = None if self.cluster is None else column_value(document, self.cluster)
        return None if value is None else _label(value)

    def facets(self, documents: Sequence[Document], lengths: Sequence[int]) -> list[Mapping[str, str]]:
        """Return each document's labels by facet; ``lengths`` are those of the prompts, in characters."""
        lengths_told = _quarters(lengths)
        room = _MOST_FACETS - len(self.slices) - bool(lengths_told)
        found = [name for name in self.names if name not in self.slices and _is_facet(name, documents)]
        named = (*self.slices, *found[: max(0, room)])
        rows: list[Mapping[str, str]] = []
        for document, length in zip(documents, lengths_told or [""] * len(documents), strict=True):
            values = ((name, column_value(document, name)) for name in named)
            labels = {name: _label(value) for name, value in values if value is not None}
            rows.append(labels | ({PROMPT_LENGTH: length} if length else {}))
        return rows


def _has(document: Document, name: str) -> bool:
    return name in document or _inside(document, name) is not None


def column_value(document: Document, name: str) -> Any:
    """Return the value of a column, or of ``outer.inner`` where a column holds columns; None where there is none."""
    return document[name] if name in document else _inside(document, name)


def _inside(document: Document, name: str) -> Any:
    """Follow ``idx.paragraph`` into a column that holds columns; None where it leads nowhere."""
    value: Any = document
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _label(value: Any) -> str:
    text = str(value)
    if len(text) <= _LONGEST_LABEL:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_HASHED]
    return f"{text[: _LONGEST_LABEL - _HASHED - 2]}… {digest}"


def _is_facet(name: str, documents: Sequence[Document]) -> bool:
    seen: set[Any] = set()
    for document in documents:
        value = document.get(name)
        if not isinstance(value, str | int) or len(str(value)) > _LONGEST_VALUE:
            return False
        seen.add(value)
        if len(seen) > _MOST_VALUES:
            return False
    return len(seen) > 1 and len(documents) >= _FEWEST_PER_VALUE * len(seen)


def _quarters(lengths: Sequence[int]) -> list[str]:
    """Label each length by its quarter of all, the shortest first; nothing where they are few or equal."""
    if len(lengths) < _QUARTERS * _FEWEST_PER_VALUE or len(set(lengths)) == 1:
        return []
    bounds = np.quantile(lengths, [quarter / _QUARTERS for quarter in range(1, _QUARTERS)])
    return [f"{place + 1} of {_QUARTERS}" for place in np.searchsorted(bounds, lengths, side="left")]
