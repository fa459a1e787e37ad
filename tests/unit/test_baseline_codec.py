from __future__ import annotations

import hashlib
import math
import random

import pytest

from pytest_lmeval.baselines.codec import (
    ItemKey,
    decode_bits,
    decode_keys,
    decode_margins,
    decode_ranges,
    encode_bits,
    encode_keys,
    encode_margins,
    encode_ranges,
    item_key,
    margin_code,
    margin_of,
)
from pytest_lmeval.results import ItemResult


def test_margins_keep_sign_and_four_percent() -> None:
    rng = random.Random(1)
    for _ in range(2000):
        margin = rng.choice((-1, 1)) * math.exp(rng.uniform(math.log(0.01), math.log(100)))
        kept = margin_of(margin_code(margin))
        assert kept is not None
        assert abs(kept / margin - 1) < 0.038


@pytest.mark.parametrize(
    ("margin", "kept"),
    [
        (0.0, 0.0),
        (0.0049, 0.0),
        (0.006, 0.01),
        (-0.006, -0.01),
        (100.0, 100.0),
        (1e9, 100.0),
        (-math.inf, -100.0),
        (math.nan, None),
        (None, None),
    ],
)
def test_margins_beyond_the_range(margin: float | None, kept: float | None) -> None:
    assert margin_of(margin_code(margin)) == kept


def test_every_margin_byte_stands_for_itself() -> None:
    codes = [0, *range(1, 256)]
    assert [margin_code(margin_of(code)) for code in codes] == codes
    margins = [margin_of(code) for code in codes]
    assert sorted(m for m in margins if m is not None) == margins[1:]


@pytest.mark.parametrize("count", range(1, 26))
def test_columns_round_trip(count: int) -> None:
    rng = random.Random(count)
    bits = [rng.random() < 0.5 for _ in range(count)]
    assert decode_bits(encode_bits(bits), count) == bits
    keys = [ItemKey(rng.randrange(4096), rng.randrange(64), rng.randrange(64)) for _ in range(count)]
    assert decode_keys(encode_keys(keys)) == keys
    assert len(encode_keys(keys)) == 4 * count
    margins = [margin_of(rng.randrange(256)) for _ in range(count)]
    assert decode_margins(encode_margins(margins), count) == margins


def test_each_part_of_a_key_has_its_own_characters() -> None:
    assert encode_keys([ItemKey(1, 2, 3)]) == "ABCD"
    assert encode_keys([ItemKey(4095, 63, 0)]) == "___A"


@pytest.mark.parametrize(
    ("indices", "text"),
    [
        ([], ""),
        ([5], "5"),
        ([0, 1, 2], "0-2"),
        ([0, 1, 2, 7, 9, 10], "0-2,7,9-10"),
    ],
)
def test_ranges(indices: list[int], text: str) -> None:
    assert encode_ranges(indices) == text
    assert decode_ranges(text, len(indices)) == indices


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("0-999999999999", 3),
        ("0-9999999999999999999", 3),
        ("3-1", 3),
        ("0-1,1", 3),
        ("0,0,0", 3),
        ("0-1", 3),
        ("-1", 1),
        ("1-", 1),
        ("a", 1),
        ("²", 1),
        (" 1", 1),
        ("0,", 1),
    ],
)
def test_hostile_ranges(text: str, count: int) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        decode_ranges(text, count)


@pytest.mark.parametrize("text", ["A", "AB", "AAA", "AAAAA", "AAA!", "AAA\n", "AÄAA", "AA==", "AA+A", "AA/A"])
def test_hostile_keys(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        decode_keys(text)


@pytest.mark.parametrize(("text", "count"), [("", 1), ("A", 1), ("AA", 9), ("AAA", 1), ("_w", 3), ("!!", 3)])
def test_hostile_bits_and_margins(text: str, count: int) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        decode_bits(text, count)
    if text != "_w":
        with pytest.raises(ValueError, match=r"\w"):
            decode_margins(text, count + 9)


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def item(document: str, prompt: str, target: str) -> ItemResult:
    return ItemResult(
        index=0,
        document_hash=sha(document),
        prompt_hash=sha(prompt),
        target_hash=sha(target),
        scores={},
        margin=None,
        prompt="",
        target="",
        answer="",
    )


def test_keys_tell_documents_apart_although_their_targets_and_prompts_are_the_same() -> None:
    keys = [item_key(item(f"d{i}", "p", "yes")) for i in range(2000)]
    # 18 bits of the document: about eight pairs alike are expected, and 244 with 12 bits alone.
    assert 2000 - len(set(keys)) < 25


def test_a_changed_part_changes_its_own_part_of_the_key() -> None:
    old, prompt, target = item("d", "p", "yes"), item("d", "q", "yes"), item("d", "p", "no")
    assert item_key(prompt)._replace(prompt=item_key(old).prompt) == item_key(old) != item_key(prompt)
    assert item_key(target)._replace(target=item_key(old).target) == item_key(old) != item_key(target)
