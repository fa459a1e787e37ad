"""Log-probabilities of whole texts; the windows of several texts share batches."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_lmeval.backends.hf.batching import Limits
from pytest_lmeval.backends.protocol import RollingRequest
from pytest_lmeval.backends.text.encoding import Encoder
from pytest_lmeval.backends.text.rolling import Reply, answers, encoded
from pytest_lmeval.backends.text.scores import Scorer
from pytest_lmeval.backends.text.windows import text_length, windows


def loglikelihood_rolling(
    encoder: Encoder,
    scorer: Scorer,
    limits: Limits,
    requests: Iterator[RollingRequest],
    stride: int | None = None,
) -> Iterator[Reply]:
    """Answer ``requests``. ``stride`` is how many tokens each window predicts after the first."""
    for window in encoded(encoder, windows(requests, text_length, limits.window), stride):
        yield from answers(scorer, window)
