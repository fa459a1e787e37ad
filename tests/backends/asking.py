"""Short ways to ask a backend and the oracle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pytest_lmeval.backends.protocol import (
    Backend,
    Context,
    Failure,
    GenerationAnswer,
    GenerationRequest,
    GenerationSettings,
    LoglikelihoodAnswer,
    LoglikelihoodRequest,
    RollingAnswer,
    RollingRequest,
)


def scores(backend: Backend, pairs: Sequence[tuple[Context, str]]) -> list[LoglikelihoodAnswer | Failure]:
    requests = [
        LoglikelihoodRequest(id=i, context=context, continuation=continuation)
        for i, (context, continuation) in enumerate(pairs)
    ]
    answers = {answer.id: answer for answer in backend.loglikelihood(iter(requests))}
    return [answers[i] for i in range(len(pairs))]


def score(backend: Backend, context: Context, continuation: str) -> LoglikelihoodAnswer:
    (answer,) = scores(backend, [(context, continuation)])
    assert isinstance(answer, LoglikelihoodAnswer), answer
    return answer


def rolling(backend: Backend, texts: Sequence[str]) -> list[RollingAnswer | Failure]:
    requests = [RollingRequest(id=i, text=text) for i, text in enumerate(texts)]
    answers = {answer.id: answer for answer in backend.loglikelihood_rolling(iter(requests))}
    return [answers[i] for i in range(len(texts))]


def generated(
    backend: Backend, prompts: Sequence[tuple[Context, GenerationSettings]]
) -> list[GenerationAnswer | Failure]:
    requests = [GenerationRequest(id=i, context=text, settings=how) for i, (text, how) in enumerate(prompts)]
    answers = {answer.id: answer for answer in backend.generate_until(iter(requests))}
    return [answers[i] for i in range(len(prompts))]


def texts(backend: Backend, prompts: Sequence[tuple[Context, GenerationSettings]]) -> list[str]:
    answers = generated(backend, prompts)
    assert all(isinstance(answer, GenerationAnswer) for answer in answers), answers
    return [answer.text for answer in answers if isinstance(answer, GenerationAnswer)]


def ask_oracle(lm: Any, operation: str, *arguments: Any) -> Any:
    from lm_eval.api.instance import Instance

    request = Instance(operation, {}, arguments, 0)
    return getattr(lm, operation)([request], disable_tqdm=True)[0]
