"""How items become short text: content keys, margins, outcome bits, index ranges. Pure functions.

Every decoder takes text from a file that anyone may have edited and raises ValueError for whatever its encoder
would not have written.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pytest_lmeval.results import ItemResult

#: Of ``TINY_MARGIN`` nats and more the sign is kept; below, a margin is 0.
TINY_MARGIN = 0.005
#: The range that 127 logarithmic steps per sign cover, in nats: neighbours differ by 7.6 %, so the error is < 3.8 %.
SMALLEST_MARGIN, LARGEST_MARGIN = 0.01, 100.0
_LEVELS = 127
_STEP = math.log(LARGEST_MARGIN / SMALLEST_MARGIN) / (_LEVELS - 1)
_ZERO = 128
_NO_MARGIN = 0

_BASE64URL = re.compile(r"[A-Za-z0-9_-]*={0,2}")

#: Characters per key: one base64url character is 6 bits.
KEY_CHARACTERS = 4


class ItemKey(NamedTuple):
    """The content of an item in 24 bits: 12 of the document's hash, 6 of the prompt's, 6 of the target's.

    Together they are enough to find an item again among ten thousand (three pairs alike, told apart by order);
    apart they say which of the three changed. A change of one prompt slips through in 1 of 64 cases, of a
    whole run's never: the baseline's SHA-256 digests see it.
    """

    document: int
    prompt: int
    target: int


def item_key(item: ItemResult) -> ItemKey:
    """Take an item's key from its hashes.

    Many documents share a target ("yes", "B"), whose bits would tell nobody apart; so further bits of the document's
    hash are mixed into them. For one document they still differ where the targets do.
    """
    return ItemKey(
        document=int(item.document_hash[:3], 16),
        prompt=_six_bits(item.prompt_hash, 3),
        target=_six_bits(item.target_hash, 5) ^ _six_bits(item.document_hash, 7),
    )


def encode_keys(keys: Iterable[ItemKey]) -> str:
    """Write keys as four base64url characters each: two document, one prompt, one target."""
    bits = (key.document << 12 | key.prompt << 6 | key.target for key in keys)
    return base64.urlsafe_b64encode(b"".join(number.to_bytes(3, "big") for number in bits)).decode()


def decode_keys(text: str) -> list[ItemKey]:
    """Read what :func:`encode_keys` wrote."""
    data = _base64url(text)
    numbers = [int.from_bytes(data[at : at + 3], "big") for at in range(0, len(data), 3)]
    if len(data) % 3:
        raise ValueError("cut-off keys")
    return [ItemKey(n >> 12, n >> 6 & 63, n & 63) for n in numbers]


def margin_code(margin: float | None) -> int:
    """Quantise a margin (nats) to one byte: 0 none, 128 zero, else 128 plus or minus a logarithmic level."""
    if margin is None or math.isnan(margin):
        return _NO_MARGIN
    size = min(abs(margin), LARGEST_MARGIN)
    if size < TINY_MARGIN:
        return _ZERO
    level = max(1, 1 + round(math.log(size / SMALLEST_MARGIN) / _STEP))
    return _ZERO + level if margin > 0 else _ZERO - level


def margin_of(code: int) -> float | None:
    """Give the margin (nats) that a byte stands for."""
    if code == _NO_MARGIN:
        return None
    level = code - _ZERO
    if level == 0:
        return 0.0
    # Rounded so that a margin read from a file is the number that was compared before it was written.
    size = round_value(SMALLEST_MARGIN * math.exp(_STEP * (abs(level) - 1)))
    return size if level > 0 else -size


def encode_margins(margins: Iterable[float | None]) -> str:
    """Write one byte per margin, as base64url without padding."""
    return base64.urlsafe_b64encode(bytes(map(margin_code, margins))).decode().rstrip("=")


def decode_margins(text: str, count: int) -> list[float | None]:
    """Read ``count`` margins."""
    codes = _base64url(text + "=" * (-len(text) % 4))
    if len(codes) != count:
        raise ValueError(f"{len(codes)} margins for {count} items")
    return [margin_of(code) for code in codes]


def encode_bits(bits: Sequence[bool]) -> str:
    """Write outcomes as base64url without padding, six items to a character, the first item the highest bit."""
    number = sum(1 << (len(bits) - 1 - at) for at, bit in enumerate(bits) if bit)
    size = _bytes(len(bits))
    data = (number << (8 * size - len(bits))).to_bytes(size, "big")
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def decode_bits(text: str, count: int) -> list[bool]:
    """Read ``count`` outcomes."""
    data = _base64url(text + "=" * (-len(text) % 4))
    if len(data) != _bytes(count):
        raise ValueError(f"{text[:20]!r} is not the outcomes of {count} items")
    bits = [bool(byte >> shift & 1) for byte in data for shift in range(7, -1, -1)]
    if any(bits[count:]):
        raise ValueError("outcomes beyond the last item")
    return bits[:count]


def encode_ranges(indices: Sequence[int]) -> str:
    """Write rising indices as ranges: ``0-99,120``."""
    runs: list[list[int]] = []
    for index in indices:
        if runs and index == runs[-1][1] + 1:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    return ",".join(f"{first}-{last}" if last > first else f"{first}" for first, last in runs)


def decode_ranges(text: str, count: int) -> list[int]:
    """Read ``count`` rising indices. Nothing larger than ``count`` is ever built, whatever the text says."""
    indices: list[int] = []
    for part in text.split(",") if text else []:
        first, last = _range(part)
        if last < first or (indices and first <= indices[-1]):
            raise ValueError(f"indices do not rise at {part[:40]!r}")
        if len(indices) + last - first + 1 > count:
            raise ValueError(f"more than {count} indices")
        indices += range(first, last + 1)
    if len(indices) != count:
        raise ValueError(f"{len(indices)} indices for {count} items")
    return indices


def round_value(value: float) -> float:
    """Round to six significant digits, what a file keeps of a continuous score."""
    return float(f"{value:.6g}")


def _six_bits(digits: str, at: int) -> int:
    return int(digits[at : at + 2], 16) >> 2


def _range(part: str) -> tuple[int, int]:
    first, dash, last = part.partition("-")
    for digits in (first, last) if dash else (first,):
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 12):
            raise ValueError(f"{part[:40]!r} is not a range of indices")
    return int(first), int(last or first)


def _bytes(bits: int) -> int:
    return -(-bits // 8)


def _base64url(text: str) -> bytes:
    # Checked here: the decoders of the standard library skip foreign characters or take "+" and "/", too.
    if not _BASE64URL.fullmatch(text):
        raise ValueError(f"{text[:20]!r} is not base64url")
    return base64.urlsafe_b64decode(text)
