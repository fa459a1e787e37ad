"""Fixed answers for both sides: seeded by position, with ties, empty texts and everything filters look for."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_FORMS = (
    "{gold}",
    " {gold}",
    "The answer is {gold}.",
    "So the answer is ({letter}).",
    "#### {number}",
    "Let me think. 3 + 4 = 7.\n#### {number:,}\n\nQ:",
    "Answer: {letter}",
    "**{letter}**",
    "\\boxed{{{gold}}}",
    "```python\nreturn {number}\n```",
    "{text}",
    "{gold}\n{text}",
    "",
    "yes",
    "No, {text}",
    "[{letter}]",
)


def loglikelihoods(count: int, seed: int) -> list[tuple[float, bool]]:
    """Sums of log-probabilities in nats, a few of them equal to their neighbour, with a flag for greedy."""
    stream = random.Random(seed)
    values: list[tuple[float, bool]] = []
    for _ in range(count):
        tied = values and stream.random() < 0.15
        logprob = values[-1][0] if tied else -stream.uniform(0.01, 60.0)
        values.append((logprob, stream.random() < 0.3))
    return values


def rolling(count: int, seed: int) -> list[float]:
    """Log-probabilities of whole texts in nats."""
    stream = random.Random(seed)
    return [-stream.uniform(10.0, 500.0) for _ in range(count)]


def generations(documents: Sequence[tuple[Mapping[str, Any], Any]], seed: int) -> list[str]:
    """Texts around what each document holds. ``documents`` are (document, target), one per request and repeat."""
    stream = random.Random(seed)
    return [_text(stream, document, target) for document, target in documents]


def _text(stream: random.Random, document: Mapping[str, Any], target: Any) -> str:
    texts = [text for text in _texts(document) if text.strip()] or ["nothing"]
    gold = target[0] if isinstance(target, list) and target else target
    form = stream.choice(_FORMS)
    return form.format(
        gold=gold, letter=stream.choice("ABCDE"), number=stream.randrange(3000), text=stream.choice(texts)[:200]
    )


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
