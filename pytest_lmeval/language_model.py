"""The model under test for free-form tests: lists in, lists out, through the same batches as the benchmarks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pytest_lmeval.backends.protocol import (
    Answer,
    Backend,
    Context,
    Conversation,
    GenerationAnswer,
    GenerationRequest,
    GenerationSettings,
    LoglikelihoodAnswer,
    LoglikelihoodRequest,
    Message,
    ModelInfo,
    RollingAnswer,
    RollingRequest,
)
from pytest_lmeval.errors import LMEvalError
from pytest_lmeval.runner import Runner

# A text, or a conversation as lists of ``{"role": …, "content": …}`` spell it.
Prompt = Context | Sequence[Mapping[str, str]]


class LanguageModel:
    """What the ``lm`` fixture gives. Every method raises BackendError where the model could not answer.

    A context or prompt is a text, or a conversation: ``[{"role": "user", "content": "Hello"}]``.
    """

    def __init__(self, runner: Runner, name: str, *, answered: Callable[[], None] = lambda: None) -> None:
        """``answered`` is called after each question, whatever became of it."""
        self._runner = runner
        self._name = name
        self._answered = answered

    @property
    def backend(self) -> Backend:
        """The backend itself."""
        return self._runner.backend

    @property
    def info(self) -> ModelInfo:
        """What the model is and what it runs on."""
        return self._runner.info

    def loglikelihood(self, pairs: Sequence[tuple[Prompt, str]]) -> list[LoglikelihoodAnswer]:
        """Score (context, continuation) pairs: log-probability in nats, and whether it is the greedy one."""

        def requests(ids: Iterator[int]) -> list[Any]:
            return [LoglikelihoodRequest(id=next(ids), context=_context(c), continuation=t) for c, t in pairs]

        __tracebackhide__ = True
        answers = self._ask("loglikelihood", requests)
        return [answer for answer in answers if isinstance(answer, LoglikelihoodAnswer)]

    def loglikelihood_rolling(self, texts: Sequence[str]) -> list[float]:
        """Score whole texts: log-probability in nats."""

        def requests(ids: Iterator[int]) -> list[Any]:
            return [RollingRequest(id=next(ids), text=text) for text in texts]

        __tracebackhide__ = True
        answers = self._ask("loglikelihood_rolling", requests)
        return [answer.logprob for answer in answers if isinstance(answer, RollingAnswer)]

    def generate_until(
        self, prompts: Sequence[Prompt], *, until: Sequence[str] = (), max_tokens: int = 256, **settings: Any
    ) -> list[str]:
        """Continue each prompt up to a stop string or ``max_tokens`` new tokens; greedy unless told otherwise.

        ``settings`` are the further fields of :class:`GenerationSettings` (``do_sample``, ``temperature`` …).
        Raises TypeError for a bare string, which would be taken for a list of letters.
        """
        __tracebackhide__ = True
        if isinstance(prompts, str) or isinstance(until, str):
            raise TypeError("generate_until: expected lists of prompts and of stop strings, found a string")
        generation = GenerationSettings(until=tuple(until), max_tokens=max_tokens, **settings)

        def requests(ids: Iterator[int]) -> list[Any]:
            return [
                GenerationRequest(id=next(ids), context=_context(prompt), settings=generation) for prompt in prompts
            ]

        answers = self._ask("generate_until", requests)
        return [answer.text for answer in answers if isinstance(answer, GenerationAnswer)]

    def _ask(self, operation: str, requests: Callable[[Iterator[int]], list[Any]]) -> list[Answer]:
        __tracebackhide__ = True
        try:
            return self._runner.ask(operation, requests, self._name)
        except LMEvalError as error:
            # The line of the test is of interest, not the way the question took from there.
            raise error.with_traceback(None) from error.__cause__
        finally:
            self._answered()


def _context(prompt: Prompt) -> Context:
    if isinstance(prompt, str | Conversation):
        return prompt
    if not prompt or not all(
        isinstance(message, Mapping) and set(message) == {"role", "content"} for message in prompt
    ):
        raise TypeError(f'expected a text or a list of {{"role": …, "content": …}}, found {prompt!r}')
    return Conversation(tuple(Message(message["role"], message["content"]) for message in prompt))
