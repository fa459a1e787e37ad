from __future__ import annotations

import math
import random
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_lmeval.baselines import base64url
from pytest_lmeval.baselines.margins import LARGEST, decode_margins, encode_margins, stored_margin

finite = st.floats(allow_nan=False, allow_infinity=False)


@given(finite)
def test_margins_are_rounded_to_half_precision(margin: float) -> None:
    kept = stored_margin(margin)
    assert kept == float(np.float16(np.clip(margin, -LARGEST, LARGEST)))


@given(st.lists(st.none() | st.floats(), max_size=60))
def test_what_is_written_is_read(margins: list[float | None]) -> None:
    text = encode_margins(margins)
    kept = decode_margins(text, len(margins))
    assert kept == [stored_margin(margin) for margin in margins]  # also nan: it is one object
    assert encode_margins(kept) == text


@given(st.none() | st.floats())
def test_rounding_twice_is_rounding_once(margin: float | None) -> None:
    kept = stored_margin(margin)
    assert [stored_margin(kept)] == [kept]


@pytest.mark.parametrize(
    ("margin", "kept"),
    [
        (0.0, 0.0),
        (-1e-12, 0.0),
        (1e9, LARGEST),
        (-1e9, -LARGEST),
        (LARGEST + 15.9, LARGEST),
        (math.inf, math.inf),
        (-math.inf, -math.inf),
        (None, None),
    ],
)
def test_margins_at_the_edge_of_the_range(margin: float | None, kept: float | None) -> None:
    assert stored_margin(margin) == kept
    assert kept != 0.0 or math.copysign(1, kept) == 1


def test_not_a_number_is_neither_none_nor_a_number() -> None:
    text = encode_margins([math.nan, -math.nan, None])
    first, second, third = decode_margins(text, 3)
    assert first is not None
    assert second is not None
    assert math.isnan(first)
    assert math.isnan(second)
    assert third is None


def test_a_shift_of_two_hundredths_of_a_nat_survives_rounding() -> None:
    rng = random.Random(5)
    margins = [rng.gauss(1, 5) for _ in range(200)]
    moved = [stored_margin(margin - 0.02) for margin in margins]
    shifts = [now - then for now, then in zip(moved, map(stored_margin, margins), strict=True) if now and then]
    assert math.fsum(shifts) / len(shifts) == pytest.approx(-0.02, abs=0.0005)


def test_two_bytes_an_item() -> None:
    assert len(encode_margins([1.0] * 24)) == 64


@pytest.mark.parametrize("code", [0x8000, 0x7C01, 0x7E01, 0x7FFE, 0xFE00, 0xFFFF], ids=hex)
def test_other_spellings_are_refused(code: int) -> None:
    with pytest.raises(ValueError, match=f"{code:04x} is not a margin"):
        decode_margins(base64url.encode(struct.pack(">H", code)), 1)


@pytest.mark.parametrize("text", ["", "AA", "AAA=", "AAAA", "AAB", "AA!", "AAAAAA"])
def test_hostile_margins(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        decode_margins(text, 1)
