"""A choice that the server makes the model write: its answer is one of the labels, by grammar."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pytest_lmeval.backends.openai.connection import CallFailed
from pytest_lmeval.backends.openai.letters import Vote
from pytest_lmeval.backends.openai.replies import mapping, read, shown

_FIELD = "answer"

# Tokens for a label, and for the JSON around it.
LABEL_TOKENS = 4
OBJECT_TOKENS = 48


def constraint(labels: Sequence[str], *, vllm: bool) -> dict[str, Any]:
    """Return the fields that make a chat endpoint answer with a label: bare on vLLM, else inside a JSON object."""
    if vllm:
        return {"structured_outputs": {"choice": list(labels)}}
    schema = {
        "type": "object",
        "properties": {_FIELD: {"type": "string", "enum": list(labels)}},
        "required": [_FIELD],
        "additionalProperties": False,
    }
    named = {"name": "choice", "strict": True, "schema": schema}
    return {"response_format": {"type": "json_schema", "json_schema": named}}


def read_choice(reply: Mapping[str, Any], labels: Sequence[str]) -> Vote:
    """Return the vote for the label that was answered. Raises CallFailed where the answer is none of them."""
    text = read(reply).text or ""
    label = _label(text.strip())
    if label not in labels:
        raise CallFailed(
            f"The answer {shown(text)} is none of {', '.join(labels)}: the server does not hold the model to the "
            "structure asked for, or the token limit came first."
        )
    return Vote(tuple(float(label == other) for other in labels))


def _label(text: str) -> str:
    if not text.startswith("{"):
        return text
    try:
        found = mapping(json.loads(text)).get(_FIELD)
    except (ValueError, RecursionError):
        return text
    return found if isinstance(found, str) else text
