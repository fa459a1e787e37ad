"""MBPP's examples, and its answers as programs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from datasets import Dataset

from pytest_lmeval.tasks.code_execution import pass_at_k

_BLOCK = re.compile(r"```(?:\w+)?\n?(.*?)\n?```", re.DOTALL)

# The paper's three of the ten that the dataset sets apart for prompts.
_EXAMPLES = (2, 3, 4)


def examples(dataset: Dataset) -> Dataset:
    """Keep the paper's examples."""
    return dataset.filter(lambda doc: doc["task_id"] in _EXAMPLES)


def code_blocks(responses: Sequence[Sequence[str]], docs: Sequence[dict[str, Any]]) -> list[list[str]]:
    """Return the first code block of each answer; the prompt has opened it."""
    return [[_first_block(text) for text in texts] for texts in responses]


def pass_at_1(references: Sequence[str], predictions: Sequence[str | Sequence[str]]) -> float:
    """Return the share of programs that pass their tests."""
    candidates = [[p] if isinstance(p, str) else p for p in predictions]
    return pass_at_k(references, candidates, 1)["pass@1"]


def _first_block(text: str) -> str:
    # As in the reference, whatever word directly follows the fence is taken for the language, also the code's first.
    found = _BLOCK.search("```" + text) or _BLOCK.search(text.replace("```python", "```"))
    return found[1] if found else ""
