"""Lay a baseline out as text: the half of the format that :mod:`pytest_lmeval.baselines.format` describes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

from pytest_lmeval.baselines.codec import encode_bits, encode_keys, encode_margins, encode_ranges
from pytest_lmeval.baselines.layout import FORMAT_VERSION, MARGINS, ROW, VALUES_PER_LINE, checksum, compact
from pytest_lmeval.baselines.plain import plain, write_number
from pytest_lmeval.baselines.record import Baseline, BaselineItem


def write(baseline: Baseline) -> str:
    """Write a baseline; equal baselines give equal texts."""
    content = _content(baseline)
    return _layout({**content, "sha256": checksum(content)})


def _content(baseline: Baseline) -> dict[str, Any]:
    binary, other = _columns(baseline.items)
    margins = any(item.margin is not None for item in baseline.items)
    everything = [item.index for item in baseline.items] == list(range(baseline.total))
    return {
        "format": FORMAT_VERSION,
        "task": baseline.task,
        "created": baseline.created,
        "n": baseline.n,
        "total": baseline.total,
        "main_metric": baseline.main_metric,
        "metrics": [plain(_slots(metric)) for metric in baseline.metrics],
        "settings": _settings(baseline),
        "model": plain(baseline.model),
        "environment": plain(baseline.environment),
        "digests": _slots(baseline.digests),
        "members": list(baseline.members),
        "documents": "all" if everything else encode_ranges([item.index for item in baseline.items]),
        "columns": ["keys", *([MARGINS] if margins else []), *binary],
        "items": [_row(items, margins, binary) for items in _rows(baseline.items)],
        "values": {key: [_value(item, key) for item in baseline.items] for key in other},
    }


def _settings(baseline: Baseline) -> Any:
    """Few models have a ``scoring``; the others' files stay as they are."""
    settings = _slots(baseline.settings)
    return plain({key: value for key, value in settings.items() if key != "scoring" or value is not None})


def _slots(value: Any) -> dict[str, Any]:
    # Not dataclasses.asdict: it copies deeply, which read-only mappings do not allow.
    return {field.name: getattr(value, field.name) for field in fields(value)}


def _columns(items: Sequence[BaselineItem]) -> tuple[list[str], list[str]]:
    """Divide the per-item metrics into those that are 0 or 1 for every item, and the rest."""
    keys = sorted({key for item in items for key in item.scores})
    binary = [key for key in keys if all(item.scores.get(key) in (0.0, 1.0) for item in items)]
    return binary, [key for key in keys if key not in binary]


def _rows(items: Sequence[BaselineItem]) -> Iterator[Sequence[BaselineItem]]:
    return (items[at : at + ROW] for at in range(0, len(items), ROW))


def _row(items: Sequence[BaselineItem], margins: bool, binary: Sequence[str]) -> str:
    columns = [encode_keys(item.key for item in items)]
    if margins:
        columns.append(encode_margins(item.margin for item in items))
    columns += [encode_bits([item.scores[key] == 1 for item in items]) for key in binary]
    return " ".join(columns)


def _value(item: BaselineItem, key: str) -> float | str | None:
    value = item.scores.get(key)
    if value is None:
        return None
    whole = math.isfinite(value) and value.is_integer() and abs(value) < 1e6
    return int(value) if whole else write_number(value)


def _layout(content: Mapping[str, Any]) -> str:
    """Lay out the top level: one entry of a mapping or list per line, numbers a dozen to a line."""
    parts = (f"{compact(key)}: {_entry(value)}" for key, value in content.items())
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _entry(value: object) -> str:
    if isinstance(value, dict) and value:
        return "{\n" + ",\n".join(f" {compact(key)}: {_wrapped(value[key])}" for key in sorted(value)) + "\n}"
    # No indentation here: a blank per row is half a kilobyte.
    if isinstance(value, list) and value and not isinstance(value[0], float | int):
        return "[\n" + ",\n".join(map(compact, value)) + "\n]"
    return compact(value)


def _wrapped(value: object) -> str:
    if not isinstance(value, list) or len(value) <= VALUES_PER_LINE:
        return compact(value)
    lines = (value[at : at + VALUES_PER_LINE] for at in range(0, len(value), VALUES_PER_LINE))
    return "[\n" + ",\n".join(compact(line)[1:-1] for line in lines) + "\n ]"
