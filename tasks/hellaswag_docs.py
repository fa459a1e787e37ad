"""HellaSwag rows as prompts: WikiHow's markup removed, context and endings put together."""

from __future__ import annotations

import re
from typing import Any

from datasets import Dataset

_MARKUP = re.compile(r"\[.*?\]")


def _clean(text: str) -> str:
    """Turn WikiHow's title markers into sentence ends and drop its other bracketed step markers."""
    text = text.strip().replace(" [title]", ". ")
    return _MARKUP.sub("", text).replace("  ", " ")


def _to_prompt(doc: dict[str, Any]) -> dict[str, Any]:
    beginning = f"{doc['activity_label']}: {doc['ctx_a']} {doc['ctx_b'].capitalize()}"
    return {"query": _clean(beginning), "choices": [_clean(ending) for ending in doc["endings"]]}


def process_docs(dataset: Dataset) -> Dataset:
    """Add the columns ``query`` and ``choices``."""
    return dataset.map(_to_prompt)
