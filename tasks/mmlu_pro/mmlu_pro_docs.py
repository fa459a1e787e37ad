"""MMLU-Pro rows as prompts, and the documents of each subject."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from datasets import Dataset

_LETTERS = "ABCDEFGHIJ"


def prompt(doc: dict[str, Any]) -> str:
    """Return question, lettered options and the beginning of the answer."""
    # Options beyond the tenth have no letter; the data has none.
    options = "".join(f"{letter}. {text.strip()}\n" for letter, text in zip(_LETTERS, doc["options"], strict=False))
    return f"Question:\n{doc['question']}\nOptions:\n{options}Answer: Let's think step by step."


def worked_answer(doc: dict[str, Any]) -> str:
    """Return an example's reasoning without the words that :func:`prompt` ends with."""
    return str(doc["cot_content"]).replace("A: Let's think step by step. ", "")


def _of(category: str) -> Callable[[Dataset], Dataset]:
    """Return a ``process_docs`` that keeps one subject."""

    def process_docs(dataset: Dataset) -> Dataset:
        return dataset.filter(lambda doc: doc["category"] == category)

    return process_docs


biology = _of("biology")
business = _of("business")
chemistry = _of("chemistry")
computer_science = _of("computer science")
economics = _of("economics")
engineering = _of("engineering")
health = _of("health")
history = _of("history")
law = _of("law")
math = _of("math")
other = _of("other")
philosophy = _of("philosophy")
physics = _of("physics")
psychology = _of("psychology")
