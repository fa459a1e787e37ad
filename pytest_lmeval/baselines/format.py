"""The text of a baseline file: JSON, small, and readable in a diff.

Ten thousand multiple-choice items must stay under 64,000 bytes, and one changed item must change one line of
them. So items stand in rows of 24, one string per line, its columns separated by blanks::

    "keys                     margins       acc    acc_norm"
     4 characters per item    1.33 each     0.17   0.17

24, because there every column is whole base64 without padding (72, 24 and 3 bytes), near the width at which a
line is still read; a row is a complete unit, nothing runs on into the next. Outcomes in hexadecimal would
cost 1.7 kB more and be no more readable. Compression would be smaller and would turn every diff into noise.

Scores other than 0 and 1 stand apart as decimal numbers, 12 to a line. The file is ASCII, so no editor or
platform encodes it differently, and its checksum is over the content, so line ends do not matter.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from types import MappingProxyType
from typing import Any

from pytest_lmeval.baselines.codec import (
    KEY_CHARACTERS,
    decode_bits,
    decode_keys,
    decode_margins,
    decode_ranges,
    encode_bits,
    encode_keys,
    encode_margins,
    encode_ranges,
)
from pytest_lmeval.baselines.plain import Fields, plain, read_number, write_number
from pytest_lmeval.baselines.record import Baseline, BaselineItem, Digests, from_result
from pytest_lmeval.errors import BaselineError
from pytest_lmeval.results import MetricValue, TaskSettings

__all__ = [
    "FORMAT_VERSION",
    "MAX_BYTES",
    "MAX_ITEMS",
    "Baseline",
    "BaselineItem",
    "dumps",
    "from_result",
    "loads",
    "read_metric",
]

FORMAT_VERSION = 1
#: Larger files are refused unread, and more items undecoded: they take a hundred times the memory of their text.
MAX_BYTES = 16_000_000
MAX_ITEMS = 1_000_000
_ROW = 24
_VALUES_PER_LINE = 12
#: Spelled so that no metric is called the same.
_MARGINS = "margins (nats)"


def dumps(baseline: Baseline) -> str:
    """Write a baseline as text; equal baselines give equal texts."""
    content = _content(baseline)
    return _layout({**content, "sha256": _checksum(content)})


def loads(text: str) -> Baseline:
    """Read a baseline. Raises BaselineError, with one sentence, for whatever :func:`dumps` did not write."""
    if len(text) > MAX_BYTES:
        raise BaselineError(f"larger than {MAX_BYTES:,} bytes: not a baseline of ours")
    try:
        return _baseline(_checked(_parse(text)))
    except RecursionError:
        raise BaselineError("nested too deeply: not a baseline of ours") from None
    except ValueError as error:
        raise BaselineError(f"not a usable baseline: {error}") from None


# Writing


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
        "settings": plain(_slots(baseline.settings)),
        "model": plain(baseline.model),
        "environment": plain(baseline.environment),
        "digests": _slots(baseline.digests),
        "members": list(baseline.members),
        "documents": "all" if everything else encode_ranges([item.index for item in baseline.items]),
        "columns": ["keys", *([_MARGINS] if margins else []), *binary],
        "items": [_row(items, margins, binary) for items in _rows(baseline.items)],
        "values": {key: [_value(item, key) for item in baseline.items] for key in other},
    }


def _slots(value: Any) -> dict[str, Any]:
    # Not dataclasses.asdict: it copies deeply, which read-only mappings do not allow.
    return {field.name: getattr(value, field.name) for field in fields(value)}


def _columns(items: Sequence[BaselineItem]) -> tuple[list[str], list[str]]:
    """Divide the per-item metrics into those that are 0 or 1 for every item, and the rest."""
    keys = sorted({key for item in items for key in item.scores})
    binary = [key for key in keys if all(item.scores.get(key) in (0.0, 1.0) for item in items)]
    return binary, [key for key in keys if key not in binary]


def _rows(items: Sequence[BaselineItem]) -> Iterator[Sequence[BaselineItem]]:
    return (items[at : at + _ROW] for at in range(0, len(items), _ROW))


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


def _checksum(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(_json(content).encode()).hexdigest()


def _json(value: object) -> str:
    return json.dumps(value, sort_keys=True, allow_nan=False)


def _layout(content: Mapping[str, Any]) -> str:
    """Lay out the top level: one entry of a mapping or list per line, numbers a dozen to a line."""
    parts = (f"{_json(key)}: {_entry(value)}" for key, value in content.items())
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _entry(value: object) -> str:
    if isinstance(value, dict) and value:
        return "{\n" + ",\n".join(f" {_json(key)}: {_wrapped(value[key])}" for key in sorted(value)) + "\n}"
    # No indentation here: a blank per row is half a kilobyte.
    if isinstance(value, list) and value and not isinstance(value[0], float | int):
        return "[\n" + ",\n".join(map(_json, value)) + "\n]"
    return _json(value)


def _wrapped(value: object) -> str:
    if not isinstance(value, list) or len(value) <= _VALUES_PER_LINE:
        return _json(value)
    lines = (value[at : at + _VALUES_PER_LINE] for at in range(0, len(value), _VALUES_PER_LINE))
    return "[\n" + ",\n".join(_json(line)[1:-1] for line in lines) + "\n ]"


# Reading


def _parse(text: str) -> dict[str, Any]:
    if "\n<<<<<<< " in text or text.startswith("<<<<<<< "):
        raise ValueError("it holds an unresolved merge conflict; keep one side, or record it again")
    try:
        data = json.loads(text, object_pairs_hook=_no_duplicates, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not JSON ({error.msg} in line {error.lineno})") from None
    if not isinstance(data, dict):
        raise ValueError("it is not a JSON object")  # noqa: TRY004 - all refusals are one kind here
    return data


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) < len(pairs):
        raise ValueError("a key appears twice")
    return data


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _checked(data: dict[str, Any]) -> Fields:
    """Check version and checksum, in this order: another version may compute another checksum."""
    top = Fields(data, "")
    version = top.integer("format")
    if version != FORMAT_VERSION:
        raise ValueError(f"it has another format than {FORMAT_VERSION}, the one this pytest-lmeval reads")
    content = {key: value for key, value in data.items() if key != "sha256"}
    if top.text("sha256") != _checksum(content):
        raise ValueError("its checksum is wrong, so it was edited or damaged; restore it, or record it again")
    return top


def _baseline(top: Fields) -> Baseline:
    members = top.texts("members")
    total = top.count("total")
    items = _items(top, total)
    n = top.count("n")
    if not n <= total or (items and n != len(items)):
        raise ValueError(f"n is {n}, with {len(items)} items of {total} documents")
    metrics = top.each("metrics", read_metric)
    main_metric = top.text("main_metric")
    if main_metric not in [name for metric in metrics for name in (metric.key, metric.name)]:
        raise ValueError("its main metric is not among its metrics")
    return Baseline(
        task=top.text("task"),
        created=top.text("created"),
        n=n,
        total=total,
        main_metric=main_metric,
        metrics=metrics,
        settings=_settings(top.fields("settings")),
        items=items,
        digests=_digests(top.fields("digests")),
        members=members,
        model=top.mapping("model"),
        environment=top.mapping("environment"),
    )


def read_metric(data: object, place: str) -> MetricValue:
    """Read a metric that was written field by field. Raises ValueError."""
    metric = Fields(data, place)
    return MetricValue(
        name=metric.text("name"),
        filter=metric.text("filter"),
        value=metric.number("value"),
        stderr=metric.optional_number("stderr"),
        higher_is_better=metric.flag("higher_is_better"),
        n=metric.count("n"),
    )


def _settings(data: Fields) -> TaskSettings:
    return TaskSettings(
        dataset=data.text("dataset"),
        dataset_config=data.optional_text("dataset_config"),
        split=data.text("split"),
        num_fewshot=data.integer("num_fewshot"),
        seed=data.integer("seed"),
        limit=data.optional_text("limit"),
        output_type=data.text("output_type"),
        generation=data.optional_mapping("generation"),
        task_hash=data.text("task_hash"),
        version=data.optional_text("version"),
    )


def _digests(data: Fields) -> Digests:
    return Digests(documents=data.text("documents"), prompts=data.text("prompts"), targets=data.text("targets"))


def _items(top: Fields, total: int) -> tuple[BaselineItem, ...]:
    columns, texts = top.texts("columns"), top.texts("items")
    if len(texts) * _ROW > MAX_ITEMS + _ROW:
        raise ValueError(f"more than {MAX_ITEMS:,} items")
    rows = [_decode_row(row, columns) for row in texts]
    if any(len(row) != _ROW for row in rows[:-1]):
        raise ValueError(f"a row other than the last has not {_ROW} items")
    items = [item for row in rows for item in row]
    indices = _indices(top.text("documents"), len(items), total)
    values = _values(top, len(items))
    return tuple(
        BaselineItem(
            index=index,
            key=item.key,
            margin=item.margin,
            scores=_merged(item.scores, {key: column[at] for key, column in values.items()}),
        )
        for at, (index, item) in enumerate(zip(indices, items, strict=True))
    )


def _indices(documents: str, count: int, total: int) -> list[int]:
    if documents == "all":
        if count != total:
            raise ValueError(f"{count} items for all of {total} documents")
        return list(range(count))
    indices = decode_ranges(documents, count)
    if indices and indices[-1] >= total:
        raise ValueError(f"a document beyond the last of {total}")
    return indices


def _decode_row(row: str, columns: Sequence[str]) -> list[BaselineItem]:
    """Read one row; its items have no index yet."""
    cells = row.split(" ")
    if len(cells) != len(columns) or columns[0] != "keys" or not 0 < len(cells[0]) <= KEY_CHARACTERS * _ROW:
        raise ValueError("a row does not have the columns it should have")
    keys = decode_keys(cells[0])
    margins: list[float | None] = [None] * len(keys)
    bits: dict[str, list[bool]] = {}
    for name, cell in zip(columns[1:], cells[1:], strict=True):
        if name == _MARGINS:
            margins = decode_margins(cell, len(keys))
        else:
            bits[name] = decode_bits(cell, len(keys))
    return [
        BaselineItem(
            index=-1,
            key=key,
            margin=margin,
            scores={name: float(column[at]) for name, column in bits.items()},
        )
        for at, (key, margin) in enumerate(zip(keys, margins, strict=True))
    ]


def _values(top: Fields, count: int) -> dict[str, list[float | None]]:
    data = top.fields("values")
    columns = {key: _numbers(data.sequence(key), key) for key in top.mapping("values")}
    if any(len(column) != count for column in columns.values()):
        raise ValueError(f"a metric has not as many values as there are items, {count}")
    return columns


def _numbers(values: Sequence[object], key: str) -> list[float | None]:
    return [None if value is None else read_number(value, f"a value of {key[:40]}") for value in values]


def _merged(bits: Mapping[str, float], values: Mapping[str, float | None]) -> Mapping[str, float]:
    scores = {**bits, **{key: value for key, value in values.items() if value is not None}}
    return MappingProxyType({key: scores[key] for key in sorted(scores)})
