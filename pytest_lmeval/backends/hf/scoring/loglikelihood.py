"""Scores of continuations after contexts, window by window, each as soon as its batch has run."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_lmeval.backends.hf.batching import Limits
from pytest_lmeval.backends.protocol import LoglikelihoodRequest
from pytest_lmeval.backends.text.encoding import Encoder
from pytest_lmeval.backends.text.loglikelihood import Reply, answers, encoded
from pytest_lmeval.backends.text.scores import Scorer
from pytest_lmeval.backends.text.windows import NewCharacters, continuation_length, windows


def loglikelihood(
    encoder: Encoder, scorer: Scorer, limits: Limits, requests: Iterator[LoglikelihoodRequest]
) -> Iterator[Reply]:
    """Answer ``requests``."""
    pulled = windows(requests, NewCharacters(continuation_length), limits.window)
    for window in encoded(encoder, pulled):
        yield from answers(scorer, window)
