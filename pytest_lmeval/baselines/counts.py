"""The additive statistics of corpus metrics as text: exact, a few items to a line.

An item's numbers are separated by blanks, items by semicolons; ``-`` stands for an item without::

    "7 5 3 1 7 6 5 4 7 8;-;0 0 0 0 2 1 0 0 2 9"
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence

#: Items a line, and numbers an item: BLEU has 10, chrF of six orders 18, a confusion matrix of twelve classes 144.
COUNTS_PER_LINE = 12
MAX_COUNTS = 144
_NOTHING = "-"
_NUMBER = re.compile(r"-?\d{1,20}(\.\d{1,20})?(e[+-]?\d{1,3})?")
_SPECIAL = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
# Whole numbers up to here are exact, and shorter without their ".0".
_EXACT = 2.0**53

Counts = tuple[float, ...]


def encode_counts(counts: Sequence[Counts | None]) -> list[str]:
    """Write the statistics of one metric, items in order."""
    lines = (counts[at : at + COUNTS_PER_LINE] for at in range(0, len(counts), COUNTS_PER_LINE))
    return [";".join(map(_item, line)) for line in lines]


def decode_counts(lines: Sequence[str], count: int) -> list[Counts | None]:
    """Read the statistics of ``count`` items, bounded by the size of the text. Raises ValueError."""
    if len(lines) != -(-count // COUNTS_PER_LINE):
        raise ValueError(f"{len(lines)} lines of statistics for {count} items")
    items = list(_items(lines, count))
    if any(item is not None and len(item) > MAX_COUNTS for item in items):
        raise ValueError(f"more than {MAX_COUNTS} statistics of an item")
    return items


def _items(lines: Iterable[str], count: int) -> Iterator[Counts | None]:
    for line in lines:
        items = line.split(";")
        if len(items) != min(COUNTS_PER_LINE, count):
            raise ValueError(f"a line of statistics has {len(items)} items")
        count -= len(items)
        yield from map(_counts, items)


def _item(counts: Counts | None) -> str:
    return _NOTHING if counts is None else " ".join(map(_spelled, counts))


def _counts(text: str) -> Counts | None:
    if text == _NOTHING:
        return None
    return tuple(map(_number, text.split(" "))) if text else ()


def _spelled(number: float) -> str:
    whole = math.isfinite(number) and number == int(number) and abs(number) < _EXACT
    return str(int(number)) if whole else repr(float(number))


def _number(text: str) -> float:
    if text in _SPECIAL:
        return _SPECIAL[text]
    if not _NUMBER.fullmatch(text) or not text.isascii():
        raise ValueError(f"{text[:20]!r} is not a number")
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]!r} is too large a number")
    return number
