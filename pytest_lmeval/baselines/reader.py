"""Read a baseline's text, trusting nothing in it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from pytest_lmeval.baselines.codec import KEY_CHARACTERS, decode_bits, decode_keys, decode_margins, decode_ranges
from pytest_lmeval.baselines.layout import FORMAT_VERSION, MARGINS, MAX_ITEMS, ROW, checksum
from pytest_lmeval.baselines.plain import Fields, read_number
from pytest_lmeval.baselines.record import Baseline, BaselineItem, Digests
from pytest_lmeval.results import MetricValue, TaskSettings


def read(text: str) -> Baseline:
    """Read a baseline. Raises ValueError, or RecursionError for absurd nesting."""
    return _baseline(_checked(_parse(text)))


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
    if top.text("sha256") != checksum(content):
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
        scoring=data.optional_text("scoring") if data.has("scoring") else None,
    )


def _digests(data: Fields) -> Digests:
    return Digests(documents=data.text("documents"), prompts=data.text("prompts"), targets=data.text("targets"))


def _items(top: Fields, total: int) -> tuple[BaselineItem, ...]:
    columns, texts = top.texts("columns"), top.texts("items")
    if len(texts) * ROW > MAX_ITEMS + ROW:
        raise ValueError(f"more than {MAX_ITEMS:,} items")
    rows = [_decode_row(row, columns) for row in texts]
    if any(len(row) != ROW for row in rows[:-1]):
        raise ValueError(f"a row other than the last has not {ROW} items")
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
    if len(cells) != len(columns) or columns[0] != "keys" or not 0 < len(cells[0]) <= KEY_CHARACTERS * ROW:
        raise ValueError("a row does not have the columns it should have")
    keys = decode_keys(cells[0])
    margins: list[float | None] = [None] * len(keys)
    bits: dict[str, list[bool]] = {}
    for name, cell in zip(columns[1:], cells[1:], strict=True):
        if name == MARGINS:
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
