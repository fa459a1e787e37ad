"""Margins (nats) as half-precision numbers: two bytes for each item.

Half precision keeps 11 bits: a margin of 8 nats to 0.004, one of 1 nat to 0.0005. A shift of all margins by 0.02 nats,
which their test must see, is far above that, the more so as rounding errors average out over the items.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable

from pytest_lmeval.baselines import base64url

#: The largest finite half-precision number; larger margins (nats) are cut to it.
LARGEST = 65504.0
# Two of the 2046 codes that half precision has for "not a number": the usual one, and one for "there is no margin".
_NOT_A_NUMBER = 0x7E00
_NONE = 0x7FFF
_INFINITE = 0x7C00
_NEGATIVE_ZERO = 0x8000


def stored_margin(margin: float | None) -> float | None:
    """Round a margin (nats) as a file does, so that an identical run differs from its baseline by exactly 0.

    Finite margins stay finite. Infinity and not-a-number, which only a broken model gives, are kept; None is no margin.
    """
    return _margin_of(_code_of(margin))


def encode_margins(margins: Iterable[float | None]) -> str:
    """Write margins as base64url of big-endian half-precision numbers."""
    codes = [_code_of(margin) for margin in margins]
    return base64url.encode(struct.pack(f">{len(codes)}H", *codes))


def decode_margins(text: str, count: int) -> list[float | None]:
    """Read ``count`` margins. Raises ValueError for what :func:`encode_margins` would not have written."""
    data = base64url.decode(text)
    if len(data) != 2 * count:
        raise ValueError(f"{len(data) / 2:g} margins for {count} items")
    return [_margin_of(code) for code in struct.unpack(f">{count}H", data)]


def _code_of(margin: float | None) -> int:
    if margin is None:
        return _NONE
    if math.isnan(margin):
        return _NOT_A_NUMBER
    cut = margin if math.isinf(margin) else max(-LARGEST, min(LARGEST, margin))
    code: int = struct.unpack(">H", struct.pack(">e", cut))[0]
    return 0 if code == _NEGATIVE_ZERO else code


def _margin_of(code: int) -> float | None:
    if code == _NONE:
        return None
    if code == _NOT_A_NUMBER:
        # This very object, as tuples and with them baselines are equal where their parts are the same object.
        return math.nan
    if code == _NEGATIVE_ZERO or code & 0x7FFF > _INFINITE:
        raise ValueError(f"{code:04x} is not a margin")
    margin: float = struct.unpack(">e", struct.pack(">H", code))[0]
    return margin
