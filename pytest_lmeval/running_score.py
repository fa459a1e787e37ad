"""The score of a task so far, while its documents are asked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist

#: Of the interval. It is for the eye: whoever looks all the time sees it miss the score more often than it says.
LEVEL = 0.95

# What the field quotes, where the task's gate names nothing.
_QUOTED = ("acc_norm", "acc")


class RunningScore:
    """The mean of a task's main metric over the documents so far.

    Of several metrics it is the first that the gate names, else acc_norm, acc, or the first there is, as in the result;
    ``metric`` is its key, None before the first document that has one. Metrics that are no mean over documents have
    no value here.
    """

    def __init__(self, gated: Sequence[str] = ()) -> None:
        self.metric: str | None = None
        self.n = 0
        self._wanted = (*gated, *_QUOTED)
        self._sum = self._squares = 0.0
        self._binary = True

    def add(self, scores: Mapping[str, float]) -> None:
        """Take the scores of a further document."""
        if self.metric is None:
            self.metric = self._chosen(scores)
        value = None if self.metric is None else scores.get(self.metric)
        if value is None or not math.isfinite(value):
            return
        self.n += 1
        self._sum += value
        self._squares += value * value
        self._binary = self._binary and value in (0.0, 1.0)

    @property
    def mean(self) -> float | None:
        """The score, None where no document has one."""
        return self._sum / self.n if self.n else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Its 95 % interval: Wilson's where documents are right or wrong, else by the standard error; None of nothing.

        The documents are taken for independent draws.
        """
        if self.n < (1 if self._binary else 2):
            return None
        mean = self._sum / self.n
        if self._binary:
            # Here and not at the top: SciPy, which is behind it, is of no use to runs without a terminal.
            from pytest_lmeval.gate.statistics.intervals import wilson

            return wilson(self._sum, self.n, LEVEL)
        variance = max(0.0, self._squares / self.n - mean * mean) / (self.n - 1)
        half = NormalDist().inv_cdf((1 + LEVEL) / 2) * math.sqrt(variance)
        return mean - half, mean + half

    def _chosen(self, scores: Mapping[str, float]) -> str | None:
        """What a model that gives no log-likelihoods is scored by has a name behind an @."""
        whole = [key for key in scores if "/" not in key]
        return next(
            (key for name in self._wanted for key in whole if key == name or key.startswith(f"{name}@")),
            whole[0] if whole else None,
        )
