from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_lmeval.baselines.counts import decode_counts, encode_counts

numbers = st.integers(-(2**60), 2**60).map(float) | st.floats(allow_nan=False)
tuples = st.lists(numbers, max_size=20).map(tuple)


@given(st.lists(st.none() | tuples, max_size=40))
def test_statistics_come_back_exactly(counts: list[tuple[float, ...] | None]) -> None:
    assert decode_counts(encode_counts(counts), len(counts)) == counts


def test_whole_numbers_are_short_and_items_stand_a_dozen_to_a_line() -> None:
    lines = encode_counts([(7.0, 0.0, 12.0), None, (), (-123.4567890123456, 1e300), *[(1.0,)] * 9])
    assert lines == ["7 0 12;-;;-123.4567890123456 1e+300" + ";1" * 8, "1"]


def test_what_is_no_number_survives() -> None:
    lines = encode_counts([(math.nan, math.inf, -math.inf)])
    assert lines == ["nan inf -inf"]
    kept = decode_counts(lines, 1)[0]
    assert kept is not None
    assert math.isnan(kept[0])
    assert kept[1:] == (math.inf, -math.inf)


@pytest.mark.parametrize(
    ("lines", "count"),
    [
        ([], 1),
        (["1", "1"], 2),
        (["1;1"], 1),
        (["1"], 2),
        (["1 "], 1),
        ([" 1"], 1),
        (["1  2"], 1),
        (["1_0"], 1),
        (["\uff11"], 1),
        (["0x1"], 1),
        (["1e999"], 1),
        (["1" * 30], 1),
        (["infinity"], 1),
        (["--"], 1),
        (["None"], 1),
        ([" ".join("1" * 145)], 1),
    ],
)
def test_hostile_statistics(lines: list[str], count: int) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        decode_counts(lines, count)
