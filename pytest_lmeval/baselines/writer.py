"""Lay a baseline out as text: the half of the format that :mod:`pytest_lmeval.baselines.format` describes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from pytest_lmeval.baselines import layout
from pytest_lmeval.baselines.codec import (
    MOST_CHOICES,
    encode_bits,
    encode_choices,
    encode_flaws,
    encode_keys,
    encode_ranges,
)
from pytest_lmeval.baselines.counts import encode_counts
from pytest_lmeval.baselines.layout import FORMAT_VERSION, ROW, VALUES_PER_LINE, checksum, compact
from pytest_lmeval.baselines.margins import encode_margins
from pytest_lmeval.baselines.plain import plain, write_number
from pytest_lmeval.baselines.record import Baseline, BaselineItem
from pytest_lmeval.baselines.texts import spelled

Items = Sequence[BaselineItem]

# A text of statistics is a line already.
_PER_LINE = {"counts": 1}


def write(baseline: Baseline) -> str:
    """Write a baseline; equal baselines give equal texts."""
    content = _content(baseline)
    return _laid_out({**content, "sha256": checksum(content)})


@dataclass(frozen=True, slots=True)
class _Columns:
    """What the rows hold besides keys: ``binary`` metrics are 0 or 1 wherever they are, ``gaps`` are not everywhere."""

    margins: bool
    choices: bool
    flaws: bool
    binary: tuple[str, ...]
    gaps: frozenset[str]

    @property
    def names(self) -> list[str]:
        given = {layout.MARGINS: self.margins, layout.CHOICES: self.choices, layout.FLAWS: self.flaws}
        names = [layout.KEYS, *(name for name, is_given in given.items() if is_given)]
        for key in self.binary:
            names += [layout.SCORE + key, *([layout.SCORED + key] if key in self.gaps else [])]
        return names

    def row(self, items: Items) -> str:
        cells = [encode_keys(item.key for item in items)]
        if self.margins:
            cells.append(encode_margins(item.margin for item in items))
        if self.choices:
            cells.append(encode_choices(item.choice for item in items))
        if self.flaws:
            cells.append(encode_flaws(item.flaw for item in items))
        for key in self.binary:
            cells.append(encode_bits([item.scores.get(key) == 1 for item in items]))
            if key in self.gaps:
                cells.append(encode_bits([key in item.scores for item in items]))
        return " ".join(cells)


def _content(baseline: Baseline) -> dict[str, Any]:
    return {
        "format": FORMAT_VERSION,
        "task": baseline.task,
        "created": baseline.created,
        **_given(commit=baseline.commit, published=baseline.published),
        "n": baseline.n,
        "total": baseline.total,
        "main_metric": baseline.main_metric,
        "metrics": [plain(_slots(metric)) for metric in baseline.metrics],
        "settings": _settings(baseline),
        "model": plain(baseline.model),
        "environment": plain(baseline.environment),
        **_given(noise=None if baseline.noise is None else plain(_slots(baseline.noise))),
        "digests": _slots(baseline.digests),
        "members": list(baseline.members),
        **_of_items(baseline.items, baseline.total),
    }


def _of_items(items: Items, total: int) -> dict[str, Any]:
    keys = sorted({key for item in items for key in item.scores})
    binary = tuple(key for key in keys if all(item.scores.get(key, 0.0) in (0.0, 1.0) for item in items))
    columns = _columns(items, binary)
    indices = [item.index for item in items]
    return {
        "documents": "all" if indices == list(range(total)) else encode_ranges(indices),
        "columns": columns.names,
        "items": [columns.row(row) for row in _rows(items)],
        "values": {key: [_value(item, key) for item in items] for key in keys if key not in binary},
        "counts": {key: encode_counts([item.counts.get(key) for item in items]) for key in _counted(items)},
        **({} if columns.choices else _unless_none("choices", [item.choice for item in items])),
        **_unless_none("answers", [item.answer for item in items]),
        **_unless_none("extracted", [item.extracted for item in items]),
    }


def _columns(items: Items, binary: tuple[str, ...]) -> _Columns:
    choices = [item.choice for item in items if item.choice is not None]
    return _Columns(
        margins=any(item.margin is not None for item in items),
        choices=bool(choices) and max(choices) < MOST_CHOICES,
        flaws=any(item.flaw is not None for item in items),
        binary=binary,
        gaps=frozenset(key for key in binary if any(key not in item.scores for item in items)),
    )


def _counted(items: Items) -> list[str]:
    return sorted({key for item in items for key in item.counts})


def _given(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _unless_none(name: str, values: list[Any]) -> dict[str, Any]:
    return {name: values} if any(value is not None for value in values) else {}


def _settings(baseline: Baseline) -> Any:
    """Few models have a ``scoring``; the others' files stay as they are."""
    settings = _slots(baseline.settings)
    return plain({key: value for key, value in settings.items() if key != "scoring" or value is not None})


def _slots(value: Any) -> dict[str, Any]:
    # Not dataclasses.asdict: it copies deeply, which read-only mappings do not allow.
    return {field.name: getattr(value, field.name) for field in fields(value)}


def _rows(items: Items) -> Iterator[Items]:
    return (items[at : at + ROW] for at in range(0, len(items), ROW))


def _value(item: BaselineItem, key: str) -> float | str | None:
    value = item.scores.get(key)
    if value is None:
        return None
    whole = math.isfinite(value) and value.is_integer() and abs(value) < 1e6
    return int(value) if whole else write_number(value)


def _laid_out(content: Mapping[str, Any]) -> str:
    """Lay out the top level: one entry of a mapping or list per line, numbers a dozen to a line."""
    parts = (f"{compact(key)}: {_entry(value, _PER_LINE.get(key, VALUES_PER_LINE))}" for key, value in content.items())
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _entry(value: object, per_line: int) -> str:
    if isinstance(value, dict) and value:
        return "{\n" + ",\n".join(f" {compact(key)}: {_wrapped(value[key], per_line)}" for key in sorted(value)) + "\n}"
    # No indentation here: a blank per row is half a kilobyte.
    if isinstance(value, list) and value and not _is_numeric(value):
        return "[\n" + ",\n".join(spelled(part) if isinstance(part, str) else compact(part) for part in value) + "\n]"
    return _wrapped(value, per_line)


def _is_numeric(values: list[Any]) -> bool:
    return all(value is None or isinstance(value, float | int) for value in values)


def _wrapped(value: object, per_line: int) -> str:
    if not isinstance(value, list) or len(value) <= per_line:
        return compact(value)
    lines = (value[at : at + per_line] for at in range(0, len(value), per_line))
    return "[\n" + ",\n".join(compact(line)[1:-1] for line in lines) + "\n ]"
