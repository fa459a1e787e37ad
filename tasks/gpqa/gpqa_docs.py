"""GPQA rows with their four answers shuffled.

lm-evaluation-harness shuffles again each time a split is asked for, so its choices depend on what ran before, and its
n-shot tasks are scored against other choices than were asked. Here a task's choices are always the same ones: those
that the reference's first shuffle makes, with its default seeds.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Any

from datasets import Dataset

_WRONG = ("Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3")
_RIGHT = "Correct Answer"
_BRACKETED = re.compile(r"\[.*?\]")

# The seeds of lm-evaluation-harness: of Python's generator at the start of a run, and of the n-shot tasks' own.
_RUN_SEED = 0
_N_SHOT_SEED = 42


def shuffled_for_zeroshot(dataset: Dataset) -> Dataset:
    """Add ``choice1`` to ``choice4`` and ``answer``, the letter of the right one as ``(A)``."""
    return _shuffled(dataset, random.Random(_RUN_SEED), _clean)


def shuffled_for_n_shot(dataset: Dataset) -> Dataset:
    """As for zero shots, with the seed of the n-shot tasks."""
    return _shuffled(dataset, random.Random(_N_SHOT_SEED), _clean)


def shuffled_for_leaderboard(dataset: Dataset) -> Dataset:
    """As for zero shots; what stands in square brackets is dropped from the answers."""
    return _shuffled(dataset, random.Random(_RUN_SEED), lambda text: _clean(text, without=_BRACKETED))


def _shuffled(dataset: Dataset, stream: random.Random, clean: Callable[[str | None], str]) -> Dataset:
    def with_choices(doc: dict[str, Any]) -> dict[str, str]:
        right = clean(doc[_RIGHT])
        choices = [*(clean(doc[name]) for name in _WRONG), right]
        stream.shuffle(choices)
        return {**_numbered(choices), "answer": f"({'ABCD'[choices.index(right)]})"}

    return dataset.map(with_choices)


def _numbered(choices: list[str]) -> dict[str, str]:
    return {f"choice{number}": choice for number, choice in enumerate(choices, start=1)}


def _clean(text: str | None, *, without: re.Pattern[str] | None = None) -> str:
    if text is None:
        return " "
    text = text.strip().replace(" [title]", ". ")
    if without is not None:
        text = without.sub("", text)
    return text.replace("  ", " ")
