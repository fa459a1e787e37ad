"""ReCoRD: the statement once with each entity in its blank, and SQuAD's scores of the likeliest one."""

from __future__ import annotations

import re
import string
from collections import Counter
from typing import Any

from datasets import Dataset

_HIGHLIGHT = "\n@highlight\n"
_BLANK = "@placeholder"
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)


def process_docs(dataset: Dataset) -> Dataset:
    """Keep each entity and each answer once, in alphabetical order."""
    return dataset.map(lambda doc: {name: sorted(set(doc[name])) for name in ("entities", "answers")})


def article(doc: dict[str, Any]) -> str:
    """Return the article, then its highlights as a list; the statement asked is one more item of it."""
    text, *highlights = doc["passage"].strip().split(_HIGHLIGHT)
    return f"{text}\n\n" + "".join(f"  - {highlight}.\n" for highlight in highlights)


def choices(doc: dict[str, Any]) -> list[str]:
    """Return the statement with each entity in its blank."""
    return [_filled(doc, entity) for entity in doc["entities"]]


def first_answer(doc: dict[str, Any]) -> str:
    """Return the statement with the first right entity: what an example shows."""
    return _filled(doc, doc["answers"][0])


def best_match(doc: dict[str, Any], results: list[tuple[float, bool]]) -> dict[str, float]:
    """Compare the likeliest entity with the right ones; the best match counts."""
    logprobs = [logprob for logprob, _ in results]
    likeliest = doc["entities"][logprobs.index(max(logprobs))]
    return {
        "f1": max(_f1(likeliest, answer) for answer in doc["answers"]),
        "em": max(float(_words(likeliest) == _words(answer)) for answer in doc["answers"]),
    }


def _filled(doc: dict[str, Any], entity: str) -> str:
    return f"  - {doc['query']}".replace(_BLANK, entity)


def _words(text: str) -> list[str]:
    """SQuAD's normalisation (Rajpurkar et al., 2016): no case, punctuation or articles."""
    return _ARTICLES.sub(" ", text.lower().translate(_WITHOUT_PUNCTUATION)).split()


def _f1(prediction: str, answer: str) -> float:
    """F1 over words."""
    predicted, right = _words(prediction), _words(answer)
    if not predicted or not right:
        return float(predicted == right)
    shared = sum((Counter(predicted) & Counter(right)).values())
    precision, recall = shared / len(predicted), shared / len(right)
    return 2 * precision * recall / (precision + recall) if shared else 0.0
