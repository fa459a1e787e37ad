"""Log-probabilities of whole texts, in windows of the model's length."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from pytest_lmeval.backends.hf.batching import Limits, windows
from pytest_lmeval.backends.hf.encoding import Encoder, Span
from pytest_lmeval.backends.hf.prefetching import prefetched
from pytest_lmeval.backends.hf.scoring.score import Scorer
from pytest_lmeval.backends.protocol import Failure, RollingAnswer, RollingRequest

Reply = RollingAnswer | Failure


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
            return Failure(id=self.id, error=self.error)
        return RollingAnswer(id=self.id, logprob=math.fsum(self.logprobs), tokens=self.tokens)


def loglikelihood_rolling(
    encoder: Encoder,
    scorer: Scorer,
    limits: Limits,
    requests: Iterator[RollingRequest],
    stride: int | None = None,
) -> Iterator[Reply]:
    """Answer ``requests``; the windows of several texts share batches. ``stride`` as in :func:`rolling_spans`."""

    def encode(window: list[RollingRequest]) -> dict[str, list[int]]:
        return encoder.texts(request.text for request in window if request.text)

    for window, encoded in prefetched(windows(requests, lambda request: len(request.text), limits), encode):
        yield from _score(encoder, scorer, window, encoded, stride)


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


def _score(
    encoder: Encoder, scorer: Scorer, window: list[RollingRequest], encoded: dict[str, list[int]], stride: int | None
) -> Iterator[Reply]:
    spans: list[tuple[_Document, Span]] = []
    for request in window:
        tokens = encoded[request.text] if request.text else []
        parts = rolling_spans(tokens, encoder.prefix, encoder.max_length, stride)
        document = _Document(request.id, len(parts), sum(len(part.inputs) for part in parts))
        spans.extend((document, part) for part in parts)
        if not parts:  # nothing to predict is certain
            yield document.reply()
    for document, score in scorer.score(spans):
        document.missing -= 1
        if isinstance(score, str):
            document.error = score
        else:
            document.logprobs.append(score.logprob)
        if not document.missing:
            yield document.reply()
