"""A model that needs no model: deterministic answers, for tests of your own tasks, gates and plugins.

Without arguments its answers are hashes of what it is asked. Give it functions to make it answer as you need::

    backend = FakeBackend(loglikelihood=lambda context, continuation: -float(len(continuation)))

It answers out of order, as real backends do, and keeps every request in ``asked``. A conversation reaches the
functions as text, ``role: content`` a message.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from pytest_lmeval.backends.protocol import (
    BackendPlugin,
    Failure,
    GenerationAnswer,
    GenerationRequest,
    GenerationSettings,
    LoglikelihoodAnswer,
    LoglikelihoodRequest,
    ModelInfo,
    Request,
    RollingAnswer,
    RollingRequest,
)
from pytest_lmeval.errors import BackendError

WORDS = ("yes", "no", "maybe", "red", "green", "blue", "one", "two", "three", "north", "south", "east", "west")

RequestT = TypeVar("RequestT", bound=Request)
AnswerT = TypeVar("AnswerT")


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeOptions:
    """The keys of ``--lm-model=fake,key=value``.

    ``seed`` gives other answers; ``fail_every=n`` lets about one request in n fail, chosen by its content;
    ``window`` is how many requests are pulled at a time.
    """

    seed: int = 0
    fail_every: int = 0
    window: int = 64


class FakeBackend:
    """Answers by function, else by hash.

    ``loglikelihood`` gets context and continuation and returns nats, or nats and whether it is greedy;
    ``generate`` gets context and settings and returns text, which is cut at the stop strings and after
    ``max_tokens`` words here; ``rolling`` gets a text and returns nats. An exception in one of them is that
    request's failure.
    """

    def __init__(
        self,
        *,
        loglikelihood: Callable[[str, str], float | tuple[float, bool]] | None = None,
        generate: Callable[[str, GenerationSettings], str] | None = None,
        rolling: Callable[[str], float] | None = None,
        name: str = "fake",
        seed: int = 0,
        fail_every: int = 0,
        window: int = 64,
    ) -> None:
        self.asked: list[Request] = []
        self.closed = False
        self._loglikelihood = loglikelihood or self._hashed_loglikelihood
        self._generate = generate or self._hashed_text
        self._rolling = rolling or self._hashed_rolling
        self._name = name
        self._seed = seed
        self._fail_every = fail_every
        self._window = max(1, window)

    @property
    def info(self) -> ModelInfo:
        """What this model is."""
        return ModelInfo(backend="fake", name=self._name, details={"seed": self._seed})

    def loglikelihood(self, requests: Iterator[LoglikelihoodRequest]) -> Iterator[LoglikelihoodAnswer | Failure]:
        """Score continuations after contexts."""
        return self._answers(requests, self._score)

    def loglikelihood_rolling(self, requests: Iterator[RollingRequest]) -> Iterator[RollingAnswer | Failure]:
        """Score whole texts."""
        return self._answers(requests, self._score_text)

    def generate_until(self, requests: Iterator[GenerationRequest]) -> Iterator[GenerationAnswer | Failure]:
        """Generate up to a stop string or a token limit, a word counting as a token."""
        return self._answers(requests, self._write)

    def close(self) -> None:
        """Refuse further requests."""
        self.closed = True

    def _answers(
        self, requests: Iterator[RequestT], answer: Callable[[RequestT], AnswerT]
    ) -> Iterator[AnswerT | Failure]:
        if self.closed:
            raise BackendError("The fake model is closed.")
        return self._stream(iter(requests), answer)

    def _stream(
        self, requests: Iterator[RequestT], answer: Callable[[RequestT], AnswerT]
    ) -> Iterator[AnswerT | Failure]:
        while window := list(islice(requests, self._window)):
            self.asked.extend(window)
            # Backwards on purpose: whoever relies on the order of answers finds out here.
            for request in reversed(window):
                yield self._one(request, answer)

    def _one(self, request: RequestT, answer: Callable[[RequestT], AnswerT]) -> AnswerT | Failure:
        if self._fail_every and self._hash("fail", *_content(request)) % self._fail_every == 0:
            return Failure(id=request.id, error="This request fails because fail_every says so.")
        try:
            return answer(request)
        except Exception as error:  # noqa: BLE001  # the user's function; its failure is what is tested
            return Failure(id=request.id, error=f"{type(error).__name__}: {error}")

    def _score(self, request: LoglikelihoodRequest) -> LoglikelihoodAnswer:
        context = str(request.context)
        result = self._loglikelihood(context, request.continuation)
        logprob, is_greedy = result if isinstance(result, tuple) else (result, False)
        tokens = _words(context) + _words(request.continuation)
        return LoglikelihoodAnswer(id=request.id, logprob=logprob, is_greedy=is_greedy, tokens=tokens)

    def _score_text(self, request: RollingRequest) -> RollingAnswer:
        return RollingAnswer(id=request.id, logprob=self._rolling(request.text), tokens=_words(request.text))

    def _write(self, request: GenerationRequest) -> GenerationAnswer:
        context = str(request.context)
        text = self._generate(context, request.settings)
        for stop in request.settings.until:
            text = text.split(stop, 1)[0] if stop else text
        kept = _first_words(text, request.settings.max_tokens)
        tokens = _words(context) + _words(kept)
        return GenerationAnswer(id=request.id, text=kept, tokens=tokens, truncated=kept != text)

    def _hashed_loglikelihood(self, context: str, continuation: str) -> tuple[float, bool]:
        value = self._hash("score", context, continuation)
        return -(value % 10_000) / 10_000 * (1 + len(continuation)), value % 4 == 0

    def _hashed_rolling(self, text: str) -> float:
        return -(self._hash("rolling", text) % 10_000) / 10_000 * len(text)

    def _hashed_text(self, context: str, settings: GenerationSettings) -> str:
        length = 1 + self._hash("length", context) % 8
        return "".join(" " + WORDS[self._hash("word", context, str(i)) % len(WORDS)] for i in range(length))

    def _hash(self, *parts: str) -> int:
        text = "\0".join((str(self._seed), *parts))
        return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:8], "big")


def _content(request: Request) -> tuple[str, ...]:
    match request:
        case LoglikelihoodRequest():
            return str(request.context), request.continuation
        case RollingRequest():
            return (request.text,)
        case GenerationRequest():
            return str(request.context), repr(request.settings)


def _words(text: str) -> int:
    return len(text.split())


def _first_words(text: str, most: int) -> str:
    """Return the text up to the end of its word number ``most``; all of it where it has no more."""
    ends = [match.end() for match in islice(re.finditer(r"\S+", text), most + 1)]
    return text if len(ends) <= most else text[: ends[most - 1]] if most > 0 else ""


def _open(name: str, options: FakeOptions) -> FakeBackend:
    return FakeBackend(name=name or "fake", seed=options.seed, fail_every=options.fail_every, window=options.window)


plugin = BackendPlugin(
    summary="no model at all: deterministic answers, for tests",
    options=FakeOptions,
    open=_open,
    name_required=False,
)
