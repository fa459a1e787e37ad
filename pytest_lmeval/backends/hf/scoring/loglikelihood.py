"""Scores of continuations after contexts."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_lmeval.backends.hf.batching import Limits, windows
from pytest_lmeval.backends.hf.encoding import Encoder, Span
from pytest_lmeval.backends.hf.prefetching import prefetched
from pytest_lmeval.backends.hf.scoring.score import Scorer
from pytest_lmeval.backends.hf.scoring.trie import common_length
from pytest_lmeval.backends.protocol import Failure, LoglikelihoodAnswer, LoglikelihoodRequest

Reply = LoglikelihoodAnswer | Failure


def loglikelihood(
    encoder: Encoder, scorer: Scorer, limits: Limits, requests: Iterator[LoglikelihoodRequest]
) -> Iterator[Reply]:
    """Answer ``requests``, window by window, each as soon as its batch has run."""

    def encode(window: list[LoglikelihoodRequest]) -> list[Span | str]:
        return encoder.pairs([(str(request.context), request.continuation) for request in window])

    for window, spans in prefetched(windows(requests, NewCharacters(), limits), encode):
        yield from _score(scorer, window, spans)


def _score(scorer: Scorer, window: list[LoglikelihoodRequest], encoded: list[Span | str]) -> Iterator[Reply]:
    spans: list[tuple[tuple[int, int], Span]] = []
    for request, span in zip(window, encoded, strict=True):
        if isinstance(span, str):
            yield Failure(id=request.id, error=span)
        else:
            spans.append(((request.id, len(span.inputs)), span))
    for (number, tokens), score in scorer.score(spans):
        if isinstance(score, str):
            yield Failure(id=number, error=score)
        else:
            yield LoglikelihoodAnswer(id=number, logprob=score.logprob, is_greedy=score.is_greedy, tokens=tokens)


class NewCharacters:
    """Size of a request: the characters by which it differs from the one before. The rest will have been read."""

    def __init__(self) -> None:
        self._context = ""

    def __call__(self, request: LoglikelihoodRequest) -> int:
        """Measure the next request."""
        context = str(request.context)
        known = common_length(self._context, context)
        self._context = context
        return len(context) - known + len(request.continuation)
