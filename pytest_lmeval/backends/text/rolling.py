"""Log-probabilities of whole texts, in windows of the model's length."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from pytest_lmeval.backends.protocol import Failure, RollingAnswer, RollingRequest
from pytest_lmeval.backends.text.encoding import Encoder, Span
from pytest_lmeval.backends.text.prefetching import prefetched
from pytest_lmeval.backends.text.scores import Scorer, unscored

Reply = RollingAnswer | Failure

# A text with its windows.
Encoded = tuple[RollingRequest, list[Span]]


@dataclass(slots=True)
class _Document:
    """A text under way: ``missing`` windows are still to be scored."""

    id: int
    missing: int
    tokens: int
    logprobs: list[float] = field(default_factory=list)
    error: str | None = None

    def reply(self) -> Reply:
        if self.error is not None:
            return unscored(self.id, self.error)
        return RollingAnswer(id=self.id, logprob=math.fsum(self.logprobs), tokens=self.tokens)


def encoded(
    encoder: Encoder, windows: Iterator[list[RollingRequest]], stride: int | None = None
) -> Iterator[list[Encoded]]:
    """Encode requests, pulled by windows, one ahead of the consumer. ``stride`` as in :func:`rolling_spans`."""

    def encode(window: list[RollingRequest]) -> list[Encoded]:
        tokens = encoder.texts(request.text for request in window if request.text) | {"": []}
        return [(r, rolling_spans(tokens[r.text], encoder.prefix, encoder.max_length, stride)) for r in window]

    return (pairs for _, pairs in prefetched(windows, encode))


def rolling_spans(tokens: list[int], prefix: int, max_length: int, stride: int | None = None) -> list[Span]:
    """Cover ``tokens`` so that each is predicted once.

    The first window is predicted after the ``prefix`` token, each later one after the token before it. Only
    the last reaches back: it is filled up to ``max_length`` with tokens already scored. This is the rule of
    lm-evaluation-harness. With a ``stride`` every window but the first predicts that many tokens and is filled up,
    so that ``max_length - stride`` tokens already scored stand before them.
    """
    if not tokens:
        return []
    text = (prefix, *tokens)
    spans = []
    for start, end in pairwise((0, *range(max_length, len(tokens), stride or max_length), len(tokens))):
        # In ``text`` the token before tokens[i] is at i: the window that predicts up to ``end`` ends there.
        spans.append(Span(text[max(0, end - max_length) : end], tuple(tokens[start:end])))
    return spans


def answers(scorer: Scorer, requests: Iterable[Encoded]) -> Iterator[Reply]:
    """Answer ``requests``, which are pulled as the scorer pulls them; a text's windows need not run together."""
    certain: deque[Reply] = deque()

    def spans() -> Iterator[tuple[_Document, Span]]:
        for request, parts in requests:
            document = _Document(request.id, len(parts), sum(len(part.inputs) for part in parts))
            if not parts:  # nothing to predict is certain
                certain.append(document.reply())
            yield from ((document, part) for part in parts)

    for document, score in scorer.score(spans()):
        while certain:
            yield certain.popleft()
        document.missing -= 1
        if isinstance(score, str):
            document.error = score
        else:
            document.logprobs.append(score.logprob)
        if not document.missing:
            yield document.reply()
    yield from certain
