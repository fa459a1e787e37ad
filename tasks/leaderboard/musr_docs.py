"""MuSR's prompt: the story, the question, and the choices, which the data stores as the text of a Python list."""

from __future__ import annotations

import ast
from typing import Any


def story_and_question(doc: dict[str, Any]) -> str:
    """Return the prompt, its choices numbered from 1."""
    choices = ast.literal_eval(doc["choices"])
    listed = "".join(f"{number} - {choice}\n" for number, choice in enumerate(choices, start=1))
    return f"{doc['narrative']}\n\n{doc['question']}\n\n{listed}\nAnswer:"
