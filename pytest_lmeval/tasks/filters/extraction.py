"""Filters that find the answer within a response by a pattern."""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from pytest_lmeval.tasks.filters.base import Documents, Filter, Responses, each


def regex(regex_pattern: str = r"#### (\-?[0-9\.\,]+)", group_select: int = 0, fallback: str = "[invalid]") -> Filter:
    """Extract match number ``group_select`` (from the end where negative), its first non-empty group."""
    pattern = re.compile(regex_pattern)

    def extract(response: Any) -> str:
        match = _selected(pattern, response, group_select)
        if match is None:
            return fallback
        # Where a match has groups and all are empty, the fallback stands for it, and is stripped like it.
        return str(match or fallback).strip() if pattern.groups > 1 else match.strip()

    return each(extract)


@lru_cache(maxsize=1)
def _punctuation() -> dict[int, None]:
    return dict.fromkeys(c for c in range(sys.maxunicode) if unicodedata.category(chr(c)).startswith("P"))


def multi_choice_regex(
    regex_pattern: str = r"#### (\-?[0-9\.\,]+)",
    group_select: int = 0,
    fallback: str = "[invalid]",
    ignore_case: bool = False,
    ignore_punctuation: bool = False,
    regexes_to_ignore: Sequence[str] | None = None,
) -> Filter:
    """Find the letter of a choice: by the pattern, else by the choice's text, else by a letter after a colon."""
    pattern = re.compile(regex_pattern)

    def normalise(text: str) -> str:
        for ignored in regexes_to_ignore or ():
            text = re.sub(ignored, "", text)
        text = text.lower() if ignore_case else text
        return text.translate(_punctuation()) if ignore_punctuation else text

    def extract(response: Any, choices: Sequence[str]) -> str:
        text = response if isinstance(response, str) else ""
        labels = {chr(65 + i): f"({chr(65 + i)})" for i in range(len(choices))}
        texts = {normalise(choice.strip()): f"({chr(65 + i)})" for i, choice in enumerate(choices)}
        # Longest first: a choice that begins another one must not hide it.
        by_text = re.compile("|".join(sorted(map(re.escape, texts), key=len, reverse=True)))
        by_label = re.compile(rf":[\s]*({'|'.join(map(re.escape, labels))})")
        return (
            _labelled(pattern, text, group_select, {})
            or _labelled(by_text, normalise(text), group_select, texts)
            or _labelled(by_label, text, group_select, labels)
            or fallback
        )

    def run(responses: Responses, documents: Documents) -> Responses:
        pairs = zip(responses, documents, strict=True)
        return [[extract(r, document["choices"]) for r in row] for row, document in pairs]

    return run


def _labelled(pattern: re.Pattern[str], text: str, index: int, labels: Mapping[str, str]) -> str:
    match = (_selected(pattern, text, index) or "").strip()
    return labels.get(match, match)


def _selected(pattern: re.Pattern[str], response: Any, index: int) -> str | None:
    """Return match number ``index``, of several groups the first that is not empty; None where there is no such."""
    found = pattern.findall(response) if isinstance(response, str) else []
    if not -len(found) <= index < len(found):
        return None
    match = found[index]
    return next((group for group in match if group), "") if isinstance(match, tuple) else match
