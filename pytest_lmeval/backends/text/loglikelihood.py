"""Scores of continuations after contexts: from requests to spans, from scores to answers."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

from pytest_lmeval.backends.protocol import Failure, LoglikelihoodAnswer, LoglikelihoodRequest
from pytest_lmeval.backends.text.encoding import Encoder, Span
from pytest_lmeval.backends.text.prefetching import prefetched
from pytest_lmeval.backends.text.scores import Scorer, unscored

Reply = LoglikelihoodAnswer | Failure

# A request with its span, or with why it has none.
Encoded = tuple[LoglikelihoodRequest, Span | str]


def encoded(encoder: Encoder, windows: Iterator[list[LoglikelihoodRequest]]) -> Iterator[list[Encoded]]:
    """Encode window by window, one ahead of the consumer."""

    def encode(window: list[LoglikelihoodRequest]) -> list[Encoded]:
        spans = encoder.pairs([(str(request.context), request.continuation) for request in window])
        return list(zip(window, spans, strict=True))

    return (pairs for _, pairs in prefetched(windows, encode))


def answers(scorer: Scorer, requests: Iterable[Encoded]) -> Iterator[Reply]:
    """Answer ``requests``, which are pulled as the scorer pulls them."""
    failed: deque[Failure] = deque()

    def spans() -> Iterator[tuple[tuple[int, int], Span]]:
        for request, span in requests:
            if isinstance(span, str):
                failed.append(Failure(id=request.id, error=span))
            else:
                yield (request.id, len(span.inputs)), span

    for (number, tokens), score in scorer.score(spans()):
        yield from _taken(failed)
        if isinstance(score, str):
            yield unscored(number, score)
        else:
            yield LoglikelihoodAnswer(id=number, logprob=score.logprob, is_greedy=score.is_greedy, tokens=tokens)
    yield from _taken(failed)


def _taken(failed: deque[Failure]) -> Iterator[Failure]:
    while failed:
        yield failed.popleft()
