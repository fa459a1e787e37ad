"""The model under test for free-form tests: lists in, lists out, through the same batches as the benchmarks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pytest_lmeval.backends.protocol import (
    Backend,
    GenerationAnswer,
    GenerationRequest,
    GenerationSettings,
    LoglikelihoodAnswer,
    LoglikelihoodRequest,
    ModelInfo,
    RollingAnswer,
    RollingRequest,
)
from pytest_lmeval.runner import Runner


class LanguageModel:
    """What the ``lm`` fixture gives. Every method raises BackendError where the model could not answer."""

    def __init__(self, runner: Runner, name: str) -> None:
        self._runner = runner
        self._name = name

    @property
    def backend(self) -> Backend:
        """The backend itself."""
        return self._runner.backend

    @property
    def info(self) -> ModelInfo:
        """What the model is and what it runs on."""
        return self._runner.info

    def loglikelihood(self, pairs: Sequence[tuple[str, str]]) -> list[LoglikelihoodAnswer]:
        """Score (context, continuation) pairs: log-probability in nats, and whether it is the greedy one."""

        def requests(ids: Iterator[int]) -> list[Any]:
            return [LoglikelihoodRequest(id=next(ids), context=c, continuation=t) for c, t in pairs]

        answers = self._runner.ask("loglikelihood", requests, self._name)
        return [answer for answer in answers if isinstance(answer, LoglikelihoodAnswer)]

    def loglikelihood_rolling(self, texts: Sequence[str]) -> list[float]:
        """Score whole texts: log-probability in nats."""

        def requests(ids: Iterator[int]) -> list[Any]:
            return [RollingRequest(id=next(ids), text=text) for text in texts]

        answers = self._runner.ask("loglikelihood_rolling", requests, self._name)
        return [answer.logprob for answer in answers if isinstance(answer, RollingAnswer)]

    def generate_until(
        self, prompts: Sequence[str], *, until: Sequence[str] = (), max_tokens: int = 256, **settings: Any
    ) -> list[str]:
        """Continue each prompt up to a stop string or ``max_tokens`` new tokens; greedy unless told otherwise.

        ``settings`` are the further fields of :class:`GenerationSettings` (``do_sample``, ``temperature`` …).
        """
        generation = GenerationSettings(until=tuple(until), max_tokens=max_tokens, **settings)

        def requests(ids: Iterator[int]) -> list[Any]:
            return [GenerationRequest(id=next(ids), context=prompt, settings=generation) for prompt in prompts]

        answers = self._runner.ask("generate_until", requests, self._name)
        return [answer.text for answer in answers if isinstance(answer, GenerationAnswer)]
