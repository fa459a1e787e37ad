"""Where two texts part: the first word, number or mark that differs.

No tokenizer is needed, so that a text from another model or an old baseline can be compared as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import zip_longest

#: Characters that are compared. Whatever agrees so far did not go wrong at its beginning.
COMPARED = 20_000
#: Characters of what precedes and of what follows the difference that are kept.
CONTEXT = 60

# Scripts that put no spaces between words; there each character is one.
_UNSPACED = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
# Letters, and what belongs to them: marks have no class of their own in `re`, so all else is excluded.
_NO_WORD = r"\s\d\x00-\x2f\x3a-\x40\x5b-\x60\x7b-\xbf\u2000-\u200b\u200e-\u2bff\u3000-\u303f\uff00-\uff0f" + _UNSPACED
# Every part is bounded: a line of a million letters is many tokens, not one.
_TOKEN = re.compile(
    rf"\s{{1,40}}|\d{{1,40}}(?:[.,]\d{{1,40}}){{0,8}}|[^\W\d_{_UNSPACED}][^{_NO_WORD}]{{0,39}}|.", re.DOTALL
)


class Same(StrEnum):
    """Two texts in which no difference was found, and how far was looked."""

    WHOLE = "the same text"
    RECORDED = "the same as far as it was recorded"
    COMPARED = "the same as far as it was compared"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The first token in which two texts differ.

    ``position`` counts the equal tokens before it (words, numbers, runs of whitespace, single other characters).
    ``before`` is the end of what both share, ``then`` and ``now`` the differing tokens, empty where that text ends;
    ``after_then`` and ``after_now`` what follows them.
    """

    position: int
    before: str
    then: str
    now: str
    after_then: str
    after_now: str


def tokens(text: str) -> Iterator[re.Match[str]]:
    """Yield the tokens of a text, which together are the text."""
    return _TOKEN.finditer(text)


def first_difference(then: str, now: str) -> Difference | Same:
    """Find where ``now`` first differs from ``then``.

    Takes time proportional to the shared beginning, of which at most ``COMPARED`` characters are read.
    """
    old, new = then[:COMPARED], now[:COMPARED]
    for position, (a, b) in enumerate(zip_longest(tokens(old), tokens(new))):
        if _text(a) != _text(b):
            return _difference(position, a, b, old, new)
    return Same.WHOLE if then == now else Same.COMPARED


def _difference(position: int, a: re.Match[str] | None, b: re.Match[str] | None, old: str, new: str) -> Difference:
    start_old, end_old = a.span() if a else (len(old), len(old))
    start_new, end_new = b.span() if b else (len(new), len(new))
    return Difference(
        position=position,
        before=old[max(0, start_old - CONTEXT) : start_old],
        then=old[start_old:end_old],
        now=new[start_new:end_new],
        after_then=old[end_old : end_old + CONTEXT],
        after_now=new[end_new : end_new + CONTEXT],
    )


def _text(match: re.Match[str] | None) -> str:
    return match[0] if match else ""
