"""MMLU-Pro's prompt: a question and its options, as many as it has."""

from __future__ import annotations

import string
from typing import Any


def question_and_options(doc: dict[str, Any]) -> str:
    """Return the question, then one line an option."""
    options = "".join(f"{letter}. {option}\n" for letter, option in zip(letters(doc), doc["options"], strict=True))
    return f"{doc['question']}\n{options}Answer:"


def letters(doc: dict[str, Any]) -> list[str]:
    """Return the letters of the options."""
    return list(string.ascii_uppercase[: len(doc["options"])])
