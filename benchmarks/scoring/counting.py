"""How much there is to compute, counted apart from any engine.

Requests that begin alike have the same keys and values as far as they are alike. Laid into a trie, each token that
must be read once is a node: the sum, over the sorted sequences, of length minus the prefix shared with the one before.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pytest_lmeval.backends.protocol import GenerationRequest, LoglikelihoodRequest, Request, RollingRequest
from pytest_lmeval.backends.text.encoding import Encoder, Span, Tokens
from pytest_lmeval.backends.text.rolling import rolling_spans


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Counts in tokens.

    ``peer`` is what lm-eval reads, without padding: each distinct input once, as its cache for continuations that
    differ in their last token alone has it. ``distinct`` are the nodes of the trie, ``scored`` those of them whose
    logits are wanted.
    """

    peer: int
    distinct: int
    scored: int

    def generating(self, written: Sequence[int]) -> Work:
        """Add texts of ``written`` new tokens each: all but the last are read and make a row of logits.

        The row that the first comes from is the prompt's last, which is counted with the prompt.
        """
        read = sum(max(0, tokens - 1) for tokens in written)
        return Work(peer=self.peer + read, distinct=self.distinct + read, scored=self.scored + read)


def count(spans: Iterable[Span]) -> Work:
    """Count the work of scoring ``spans``."""
    wanted: dict[Tokens, int] = {}
    for span in spans:
        wanted[span.inputs] = max(wanted.get(span.inputs, 0), len(span.targets))
    distinct, scored = _trie(sorted(wanted.items()))
    return Work(peer=sum(map(len, wanted)), distinct=distinct, scored=scored)


def _trie(rows: Sequence[tuple[Tokens, int]]) -> tuple[int, int]:
    """Count all nodes and the scored ones; a row's last ``wanted`` nodes are scored."""
    nodes = 0
    scored: set[int] = set()
    path: list[int] = []  # the numbers of the nodes that the last row went through
    previous: Tokens = ()
    for tokens, wanted in rows:
        del path[_shared(previous, tokens) :]
        fresh = len(tokens) - len(path)
        path.extend(range(nodes, nodes + fresh))
        nodes += fresh
        scored.update(path[len(path) - wanted :])
        previous = tokens
    return nodes, len(scored)


def _shared(one: Tokens, other: Tokens) -> int:
    """Length of the common beginning."""
    length = min(len(one), len(other))
    if one[:length] == other[:length]:
        return length
    return next(place for place in range(length) if one[place] != other[place])


def spans_of(encoder: Encoder, requests: Sequence[Request]) -> list[Span]:
    """Encode the requests; what cannot be scored is left out. A prompt to continue wants its last token's logits."""
    scoring = [request for request in requests if isinstance(request, LoglikelihoodRequest)]
    pairs = encoder.pairs([(str(request.context), request.continuation) for request in scoring])
    spans = [span for span in pairs if isinstance(span, Span)]
    texts = [request.text for request in requests if isinstance(request, RollingRequest)]
    for tokens in encoder.texts(texts).values():
        spans += rolling_spans(tokens, encoder.prefix, encoder.max_length)
    return spans + _prompts(encoder, [request for request in requests if isinstance(request, GenerationRequest)])


def _prompts(encoder: Encoder, requests: Sequence[GenerationRequest]) -> list[Span]:
    encoded = encoder.prompts(str(request.context) for request in requests)
    spans = []
    for request in requests:
        room = encoder.max_length - request.settings.max_tokens
        spans.append(Span(tuple(encoded[str(request.context)][-room:]), (0,)))
    return spans
