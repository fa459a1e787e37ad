"""WikiText pages as running text, and what their perplexity is counted on.

WikiText is stored as tokens with spaces between them. The rules below leave spaces only where a writer has
them. They run in this order, and they are kept exactly as the field uses them, flaws included: every byte of
the text counts in the score.
"""

from __future__ import annotations

import re
from typing import Any

_NUMBER_SEPARATORS = [(" @-@ ", "-"), (" @,@ ", ","), (" @.@ ", ".")]
_PUNCTUATION = [(f" {mark} ", f"{mark} ") for mark in ":;.!?,"]
_HEADINGS = [("= " * (level - 1) + "=", "=" * level) for level in (4, 3, 2)]
_SPACING = [(" ° ", "°"), (" \n", "\n"), ("\n ", "\n"), (" N ", " 1 "), (" 's", "'s")]
_PAIRS = [
    (re.compile(rf"{opening}\s*([^{closing}]*?)\s*{closing}"), rf"{opened}\1{closed}")
    for opening, closing, opened, closed in [
        (r"\(", r"\)", "(", ")"),
        (r"\[", r"\]", "[", "]"),
        (r"\{", r"\}", "{", "}"),
        ('"', '"', '"', '"'),
        ("'", "'", "'", "'"),
    ]
]
# Matches only between slashes, so hardly ever, and then writes the pattern itself: one of the flaws.
_SLASHED_YEAR = (re.compile(r"/' [0-9]/"), "/'[0-9]/")


def detokenized(doc: dict[str, Any]) -> str:
    """Return the page as running text."""
    text: str = doc["page"].replace("s '", "s'")
    text = _SLASHED_YEAR[0].sub(_SLASHED_YEAR[1], text)
    text = _replace(text, _NUMBER_SEPARATORS + _PUNCTUATION)
    for pattern, replacement in _PAIRS:
        text = pattern.sub(replacement, text)
    return _replace(text, _HEADINGS + _SPACING)


def process_results(doc: dict[str, Any], results: tuple[float]) -> dict[str, tuple[float, int]]:
    """Pair the page's log-likelihood with the length of the page as stored, before detokenizing."""
    (loglikelihood,) = results
    page: str = doc["page"]
    words = len(re.split(r"\s+", page))
    size = len(page.encode())
    return {
        "word_perplexity": (loglikelihood, words),
        "byte_perplexity": (loglikelihood, size),
        "bits_per_byte": (loglikelihood, size),
    }


def _replace(text: str, rules: list[tuple[str, str]]) -> str:
    for old, new in rules:
        text = text.replace(old, new)
    return text
