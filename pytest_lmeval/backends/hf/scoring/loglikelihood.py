"""Scores of continuations after contexts."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_lmeval.backends.hf.batching import Limits, NewCharacters, windows
from pytest_lmeval.backends.hf.encoding import Encoder, Span
from pytest_lmeval.backends.hf.prefetching import prefetched
from pytest_lmeval.backends.hf.scoring.score import Scorer
from pytest_lmeval.backends.protocol import Failure, LoglikelihoodAnswer, LoglikelihoodRequest

Reply = LoglikelihoodAnswer | Failure


def loglikelihood(
    encoder: Encoder, scorer: Scorer, limits: Limits, requests: Iterator[LoglikelihoodRequest]
) -> Iterator[Reply]:
    """Answer ``requests``, window by window, each as soon as its batch has run."""

    def encode(window: list[LoglikelihoodRequest]) -> list[Span | str]:
        return encoder.pairs([(str(request.context), request.continuation) for request in window])

    for window, spans in prefetched(
        windows(requests, NewCharacters(lambda request: len(request.continuation)), limits), encode
    ):
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


def _continuation(request: LoglikelihoodRequest) -> int:
    return len(request.continuation)
