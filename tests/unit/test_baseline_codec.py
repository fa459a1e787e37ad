from __future__ import annotations

import hashlib
import random

import pytest

from pytest_lmeval.baselines.codec import (
    MOST_CHOICES,
    ItemKey,
    decode_bits,
    decode_choices,
    decode_flaws,
    decode_keys,
    decode_ranges,
    encode_bits,
    encode_choices,
    encode_flaws,
    encode_keys,
    encode_ranges,
    item_key,
)
from pytest_lmeval.results import Flaw, ItemResult


@pytest.mark.parametrize("count", range(1, 26))
def test_columns_round_trip(count: int) -> None:
    rng = random.Random(count)
    bits = [rng.random() < 0.5 for _ in range(count)]
    assert decode_bits(encode_bits(bits), count) == bits
    keys = [ItemKey(rng.randrange(4096), rng.randrange(64), rng.randrange(64)) for _ in range(count)]
    assert decode_keys(encode_keys(keys)) == keys
    assert len(encode_keys(keys)) == 4 * count
    choices = [rng.choice([None, *range(MOST_CHOICES)]) for _ in range(count)]
    assert decode_choices(encode_choices(choices), count) == choices
    flaws = [rng.choice([None, *Flaw]) for _ in range(count)]
    assert decode_flaws(encode_flaws(flaws), count) == flaws
    assert len(encode_choices(choices)) == len(encode_flaws(flaws)) == count


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


@pytest.mark.parametrize(
    ("text", "count"), [("", 1), ("A", 1), ("AA", 9), ("AAA", 1), ("_w", 3), ("!!", 3), ("AB", 1), ("AA==", 1)]
)
def test_hostile_bits(text: str, count: int) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        decode_bits(text, count)


@pytest.mark.parametrize("text", ["", "A", "AAA", "A=", "Aé", "A "])
def test_hostile_choices_and_flaws(text: str) -> None:
    with pytest.raises(ValueError, match="choices of 2 items"):
        decode_choices(text, 2)
    with pytest.raises(ValueError, match="flaws of 2 items"):
        decode_flaws(text, 2)


def test_every_flaw_has_a_letter_of_its_own() -> None:
    assert len(set(encode_flaws([None, *Flaw]))) == len(Flaw) + 1


def test_there_are_as_many_choices_as_characters_but_one() -> None:
    assert encode_choices([0, 1, 62, None]) == "AB-_"


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
