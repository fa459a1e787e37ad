"""HumanEval answers as programs: the function's beginning, which is the prompt, and what the model wrote after it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

# The metric of the task files, which find functions only in the files next to them.
from pytest_lmeval.tasks.code_execution import pass_at_k as pass_at_k

_FENCE = "```"


def completed(responses: Sequence[Sequence[str]], docs: Sequence[dict[str, Any]]) -> list[list[str]]:
    """Put each answer after its prompt."""
    return [[doc["prompt"] + text for text in texts] for texts, doc in zip(responses, docs, strict=True)]


def completed_before_fence(responses: Sequence[Sequence[str]], docs: Sequence[dict[str, Any]]) -> list[list[str]]:
    """Put each answer after its prompt, up to the end of the code block that the prompt opened."""
    return completed([[text.partition(_FENCE)[0] for text in texts] for texts in responses], docs)
