"""Read the items of a baseline file, column by column, trusting nothing in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeVar

from pytest_lmeval.baselines import layout
from pytest_lmeval.baselines.codec import (
    KEY_CHARACTERS,
    ItemKey,
    decode_bits,
    decode_choices,
    decode_flaws,
    decode_keys,
    decode_ranges,
)
from pytest_lmeval.baselines.counts import decode_counts
from pytest_lmeval.baselines.layout import MAX_ITEMS, ROW, SCORE, SCORED
from pytest_lmeval.baselines.margins import decode_margins
from pytest_lmeval.baselines.plain import FieldError, Fields, read_number
from pytest_lmeval.baselines.record import NO_COUNTS, BaselineItem
from pytest_lmeval.baselines.texts import kept_answer, kept_extracted
from pytest_lmeval.results import Flaw

T = TypeVar("T")


def read_items(top: Fields, total: int) -> tuple[BaselineItem, ...]:
    """Read the items of a file of ``total`` documents. Raises ValueError.

    What is built is bounded: no more than ``MAX_ITEMS``, and for each no more than the text holds.
    """
    rows = _read_rows(top)
    count = len(rows.keys)
    scores = _merged(rows.scores(), _values(top, count))
    counts = _by_key(top, "counts", lambda fields, key: decode_counts(fields.texts(key), count))
    if rows.choices and top.has("choices"):
        raise ValueError("its choices stand twice")
    choices = _list(top, "choices", count, _choice) if top.has("choices") else rows.choices
    columns = (
        _indices(top.text("documents"), count, total),
        rows.keys,
        _or_none(rows.margins, count),
        _or_none(choices, count),
        _or_none(rows.flaws, count),
        _texts(top, "answers", count, kept_answer),
        _texts(top, "extracted", count, kept_extracted),
    )
    return tuple(
        BaselineItem(
            index=index,
            key=key,
            margin=margin,
            scores=MappingProxyType(_known(scores, at)),
            answer=answer,
            extracted=extracted,
            choice=choice,
            flaw=flaw,
            counts=MappingProxyType(_known(counts, at)) if counts else NO_COUNTS,
        )
        for at, (index, key, margin, choice, flaw, answer, extracted) in enumerate(zip(*columns, strict=True))
    )


@dataclass(slots=True)
class _Rows:
    """The columns that stand in rows; of those a file does not have, nothing."""

    keys: list[ItemKey] = field(default_factory=list)
    margins: list[float | None] = field(default_factory=list)
    choices: list[int | None] = field(default_factory=list)
    flaws: list[Flaw | None] = field(default_factory=list)
    bits: dict[str, list[bool]] = field(default_factory=dict)

    def add(self, columns: Sequence[str], cells: Sequence[str]) -> None:
        """Add a row whose cells, the keys first, are of these columns."""
        keys = decode_keys(cells[0])
        self.keys += keys
        for name, cell in zip(columns[1:], cells[1:], strict=True):
            if name == layout.MARGINS:
                self.margins += decode_margins(cell, len(keys))
            elif name == layout.CHOICES:
                self.choices += decode_choices(cell, len(keys))
            elif name == layout.FLAWS:
                self.flaws += decode_flaws(cell, len(keys))
            else:
                self.bits.setdefault(name, []).extend(decode_bits(cell, len(keys)))

    def scores(self) -> dict[str, list[float | None]]:
        """The scores that are 0 or 1, by their metrics' keys."""
        return {name.removeprefix(SCORE): self._scores(name) for name in self.bits if name.startswith(SCORE)}

    def _scores(self, name: str) -> list[float | None]:
        values, known = self.bits[name], self.bits.get(SCORED + name.removeprefix(SCORE))
        if known is None:
            return [float(value) for value in values]
        if any(value and not is_known for value, is_known in zip(values, known, strict=True)):
            raise ValueError("an item without a score has one")
        return [float(value) if is_known else None for value, is_known in zip(values, known, strict=True)]


def _read_rows(top: Fields) -> _Rows:
    columns, texts = top.texts("columns"), top.texts("items")
    _check_columns(columns)
    if len(texts) * ROW > MAX_ITEMS + ROW:
        raise ValueError(f"more than {MAX_ITEMS:,} items")
    rows = _Rows()
    for at, text in enumerate(texts):
        cells = text.split(" ")
        if len(cells) != len(columns) or not 0 < len(cells[0]) <= KEY_CHARACTERS * ROW:
            raise ValueError("a row does not have the columns it should have")
        if len(rows.keys) != at * ROW:
            raise ValueError(f"a row other than the last has not {ROW} items")
        rows.add(columns, cells)
    return rows


def _check_columns(columns: Sequence[str]) -> None:
    metrics = [name.removeprefix(SCORE) for name in columns if name.startswith(SCORE)]
    known = {layout.MARGINS, layout.CHOICES, layout.FLAWS, *(word + key for key in metrics for word in (SCORE, SCORED))}
    if columns[:1] != (layout.KEYS,) or not known.issuperset(columns[1:]) or len(set(columns)) < len(columns):
        raise ValueError("its columns are not those of a baseline")


def _indices(documents: str, count: int, total: int) -> list[int]:
    if documents == "all":
        if count != total:
            raise ValueError(f"{count} items for all of {total} documents")
        return list(range(count))
    indices = decode_ranges(documents, count)
    if indices and indices[-1] >= total:
        raise ValueError(f"a document beyond the last of {total}")
    return indices


def _values(top: Fields, count: int) -> dict[str, list[float | None]]:
    return _by_key(top, "values", lambda fields, key: _list(fields, key, count, _number))


def _by_key(top: Fields, name: str, read: Callable[[Fields, str], T]) -> dict[str, T]:
    fields = top.fields(name)
    return {key: read(fields, key) for key in top.mapping(name)}


def _list(fields: Fields, name: str, count: int, read: Callable[[object], T]) -> list[T | None]:
    values = fields.sequence(name)
    if len(values) != count:
        raise ValueError(f"{name[:40]!r} has {len(values)} values for {count} items")
    return [None if value is None else read(value) for value in values]


def _texts(top: Fields, name: str, count: int, kept: Callable[[str], str]) -> list[str | None]:
    def text(value: object) -> str:
        if not isinstance(value, str) or kept(value) != value:
            raise FieldError(f"one of its {name} is not as it would have been written")
        return value

    return _list(top, name, count, text) if top.has(name) else [None] * count


def _number(value: object) -> float:
    return read_number(value, "a value")


def _choice(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < MAX_ITEMS:
        raise FieldError("a choice is not a whole number")
    return value


def _or_none(column: list[T | None], count: int) -> list[T | None]:
    return column or [None] * count


def _merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    if twice := one.keys() & other.keys():
        raise ValueError(f"{min(twice)[:40]!r} has two columns")
    both = one | other
    return {key: both[key] for key in sorted(both)}


def _known(columns: Mapping[str, Sequence[T | None]], at: int) -> dict[str, T]:
    """Give the item's own values; one that has none of a metric is not in that metric's mapping."""
    return {key: value for key, column in columns.items() if (value := column[at]) is not None}
