"""How items become short text: content keys, outcome bits, choices, flaws, index ranges. Pure functions.

Every decoder takes text from a file that anyone may have edited and raises ValueError for whatever its encoder
would not have written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from pytest_lmeval.baselines import base64url
from pytest_lmeval.results import Flaw, ItemResult

T = TypeVar("T")

#: Characters per key: one base64url character is 6 bits.
KEY_CHARACTERS = 4
#: Choices below this are one character each, of the base64url alphabet; its last stands for none.
MOST_CHOICES = 63
_DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_CHOICES: dict[str, int | None] = {digit: at for at, digit in enumerate(_DIGITS)} | {_DIGITS[MOST_CHOICES]: None}
_LETTERS: dict[str, Flaw | None] = {
    ".": None,
    "E": Flaw.ERROR,
    "N": Flaw.NOT_A_NUMBER,
    "0": Flaw.EMPTY,
    "R": Flaw.REPETITION,
    "T": Flaw.TRUNCATED,
    "X": Flaw.NOT_EXTRACTED,
}
_LETTER_OF = {flaw: letter for letter, flaw in _LETTERS.items()}


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
    return base64url.encode(b"".join(number.to_bytes(3, "big") for number in bits))


def decode_keys(text: str) -> list[ItemKey]:
    """Read what :func:`encode_keys` wrote."""
    data = base64url.decode(text)
    numbers = [int.from_bytes(data[at : at + 3], "big") for at in range(0, len(data), 3)]
    if len(data) % 3:
        raise ValueError("cut-off keys")
    return [ItemKey(n >> 12, n >> 6 & 63, n & 63) for n in numbers]


def encode_bits(bits: Sequence[bool]) -> str:
    """Write outcomes as base64url without padding, six items to a character, the first item the highest bit."""
    number = sum(1 << (len(bits) - 1 - at) for at, bit in enumerate(bits) if bit)
    size = _bytes(len(bits))
    data = (number << (8 * size - len(bits))).to_bytes(size, "big")
    return base64url.encode(data)


def decode_bits(text: str, count: int) -> list[bool]:
    """Read ``count`` outcomes."""
    data = base64url.decode(text)
    if len(data) != _bytes(count):
        raise ValueError(f"{text[:20]!r} is not the outcomes of {count} items")
    bits = [bool(byte >> shift & 1) for byte in data for shift in range(7, -1, -1)]
    if any(bits[count:]):
        raise ValueError("outcomes beyond the last item")
    return bits[:count]


def encode_choices(choices: Iterable[int | None]) -> str:
    """Write choices, all below ``MOST_CHOICES``, one character each."""
    return "".join(_DIGITS[MOST_CHOICES if choice is None else choice] for choice in choices)


def decode_choices(text: str, count: int) -> list[int | None]:
    """Read ``count`` choices."""
    return _by_letter(text, count, _CHOICES, "choices")


def encode_flaws(flaws: Iterable[Flaw | None]) -> str:
    """Write flaws, one character each."""
    return "".join(_LETTER_OF[flaw] for flaw in flaws)


def decode_flaws(text: str, count: int) -> list[Flaw | None]:
    """Read ``count`` flaws."""
    return _by_letter(text, count, _LETTERS, "flaws")


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


def _by_letter(text: str, count: int, meanings: Mapping[str, T], what: str) -> list[T]:
    if len(text) != count or not meanings.keys() >= set(text):
        raise ValueError(f"{text[:20]!r} is not the {what} of {count} items")
    return [meanings[letter] for letter in text]


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
