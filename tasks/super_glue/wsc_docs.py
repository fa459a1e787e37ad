"""WSC's prompt: the passage with the pronoun between stars, as running text, and the question."""

from __future__ import annotations

import re
from typing import Any

# Spaces that tokenisation put around punctuation, and what stood there; replaced in this order.
_TOKENISED = ((" n't", "n't"), (" )", ")"), ("( ", "("), ('" ', '"'), (' "', '"'))
_BEFORE_PUNCTUATION = re.compile(r" (['.,])")


def passage_and_question(doc: dict[str, Any]) -> str:
    """Return the prompt. ``span2_index`` counts the words before the pronoun."""
    text, pronoun = doc["text"], doc["span2_text"]
    before = " ".join(text.split()[: doc["span2_index"]])
    after = text[len(before) + len(pronoun) + 1 :]
    passage = _detokenised(f"{before} *{pronoun}*{after}")
    question = f'In the passage above, does the pronoun "*{pronoun}*" refer to "*{doc["span1_text"]}*"?'
    return f"Passage: {passage}\nQuestion: {question}\nAnswer:"


def _detokenised(text: str) -> str:
    for tokenised, plain in _TOKENISED:
        text = text.replace(tokenised, plain)
    return _BEFORE_PUNCTUATION.sub(r"\1", text)
