"""Fixed answers for both sides: seeded by position, with ties, empty texts and everything filters look for."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_TIES, _GREEDY = 0.15, 0.3
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


def fixed(asked: Sequence[tuple[str, Mapping[str, Any], Any]], seed: int) -> list[Any]:
    """Make one answer a request; ``asked`` are (operation, document, target).

    A log-probability (nats) with a flag for greedy, the log-probability of a whole text, or a text around what the
    document holds.
    """
    stream = random.Random(seed)
    answers: list[Any] = []
    for operation, document, target in asked:
        if operation == "generate_until":
            answers.append(_text(stream, document, target))
        elif operation == "loglikelihood_rolling":
            answers.append(-stream.uniform(10.0, 500.0))
        else:
            tied = answers and isinstance(answers[-1], tuple) and stream.random() < _TIES
            logprob = answers[-1][0] if tied else -stream.uniform(0.01, 60.0)
            answers.append((logprob, stream.random() < _GREEDY))
    return answers


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
