"""DROP's accepted answers, and how well a text agrees with one: Dua et al., 2019, section 5.

An answer is a bag of spans. The model's is always a single span, so the best assignment of its spans to the accepted
ones, which the paper looks for, is the best single pair.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator
from typing import Any

import numpy as np
from datasets import Dataset

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)


def process_docs(dataset: Dataset) -> Dataset:
    """Add the columns ``id`` and ``answers``: the accepted ones, each a list of spans, none twice."""
    return dataset.map(lambda doc: {"id": doc["query_id"], "answers": list(dict.fromkeys(_accepted(doc)))})


def process_results(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """Score the text against the accepted answer that it fits best; one that begins with an empty span is none."""
    scores = [_agreement(results[0], spans) for spans in doc["answers"] if spans[0].strip()]
    return {"em": max((em for em, _ in scores), default=0), "f1": max((f1 for _, f1 in scores), default=0)}


def _accepted(doc: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    yield _spans(doc["answer"])
    validated = doc["validated_answers"]
    keys = ("number", "date", "spans")
    for values in zip(*(validated[key] for key in keys), strict=False):
        yield _spans(dict(zip(keys, values, strict=True)))


def _spans(answer: dict[str, Any]) -> tuple[str, ...]:
    """Return a number, else the spans, else a date."""
    if answer["number"] != "":
        return (str(answer["number"]),)
    if answer["spans"]:
        return tuple(answer["spans"])
    date = answer["date"]
    return (f"{date['day']} {date['month']} {date['year']}".strip(),)


def _agreement(text: str, spans: list[str]) -> tuple[float, float]:
    """Return exact match, and F1 over words: of the pair that agrees best, over all spans."""
    said, accepted = _normalised(text), [_normalised(span) for span in spans]
    em = float([said] == accepted)
    best = max(_f1(set(said.split()), set(span.split())) for span in accepted)
    # numpy's rounding to two places, as in the reference: Python's own differs in the last bit.
    return em, float(np.round(best / len(accepted), 2))


def _f1(said: set[str], accepted: set[str]) -> float:
    """Return the F1 of two bags of words; 0 where the accepted one has numbers and the other none of them."""
    numbers = {word for word in accepted if _is_number(word)}
    if numbers and not numbers & said:
        return 0.0
    common = len(said & accepted)
    precision = common / len(said) if said else 1.0
    recall = common / len(accepted) if accepted else 1.0
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _normalised(text: str) -> str:
    """Return the words without case, punctuation and articles; numbers as floats."""
    words = (_word(token.lower()) for token in re.split(" |-", text))
    return " ".join(word for word in words if word)


def _word(token: str) -> str:
    if not _is_number(token):
        token = token.translate(_WITHOUT_PUNCTUATION)
    if _is_number(token):
        token = str(float(token))
    return " ".join(_ARTICLES.sub(" ", token).split())


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
