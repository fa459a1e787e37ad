"""The two engines under one interface: load, then answer a list of requests in their order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from benchmarks.scoring.model import Model
from pytest_lmeval.backends.protocol import (
    Answer,
    Failure,
    GenerationRequest,
    LoglikelihoodRequest,
    Request,
    RollingRequest,
)
from pytest_lmeval.errors import BackendError


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """``answers``: (nats, is greedy), nats, or a text. ``tokens`` read and written, where the engine says."""

    answers: list[Any]
    tokens: list[int]


class Engine(Protocol):
    """A loaded model. ``prepare`` makes of requests what ``answer`` takes, outside the timing."""

    model: Any

    def prepare(self, requests: Sequence[Request]) -> Sequence[Any]:
        """Return the requests in the engine's own form."""

    def answer(self, operation: str, prepared: Sequence[Any]) -> Answered:
        """Answer them, tokenization included."""


class Ours:
    """The hf backend of this package."""

    def __init__(self, model: Model) -> None:
        from pytest_lmeval.backends.hf.backend import HFBackend
        from pytest_lmeval.backends.hf.model import load

        loaded = load(model.location, model.options)
        self.model = loaded.model
        self._backend = HFBackend(loaded, model.options)

    def prepare(self, requests: Sequence[Request]) -> Sequence[Request]:
        """They are in its form."""
        return requests

    def answer(self, operation: str, prepared: Sequence[Request]) -> Answered:
        """Raises BackendError where a request fails."""
        found: dict[int, Answer] = {}
        for answer in getattr(self._backend, operation)(iter(prepared)):
            if isinstance(answer, Failure):
                raise BackendError(answer.error)
            found[answer.id] = answer
        answers = [found[request.id] for request in prepared]
        return Answered(answers=[value(answer) for answer in answers], tokens=[answer.tokens for answer in answers])


def value(answer: Answer) -> Any:
    """The part of an answer that is compared, as :class:`Answered` has it."""
    from pytest_lmeval.backends.protocol import GenerationAnswer, LoglikelihoodAnswer

    if isinstance(answer, LoglikelihoodAnswer):
        return (answer.logprob, answer.is_greedy)
    return answer.text if isinstance(answer, GenerationAnswer) else answer.logprob


class Peer:
    """lm-eval's hf backend, with its own defaults but for the batch."""

    def __init__(self, model: Model) -> None:
        from lm_eval.models.huggingface import HFLM

        options = model.options
        given = {
            "max_length": options.max_length,
            "tokenizer": options.tokenizer,
            "add_bos_token": options.add_bos_token,
            "prefix_token_id": options.prefix_token_id,
            "attn_implementation": options.attn_implementation,
            "revision": options.revision,
        }
        self._lm = HFLM(
            pretrained=model.location,
            device=options.device,
            dtype=options.dtype,
            trust_remote_code=options.trust_remote_code,
            **{key: value for key, value in given.items() if value is not None},
        )
        self.model = self._lm.model

    def use_batch(self, size: int | str) -> None:
        """Take rows by this number from now on; ``auto`` lets it find the most that the memory holds."""
        self._lm.batch_size_per_gpu = size

    def prepare(self, requests: Sequence[Request]) -> Sequence[Any]:
        """Wrap them in lm-eval's instances."""
        from lm_eval.api.instance import Instance

        return [Instance(*instance(request), idx=0) for request in requests]

    def answer(self, operation: str, prepared: Sequence[Any]) -> Answered:
        """Raises what lm-eval raises."""
        return Answered(answers=list(getattr(self._lm, operation)(list(prepared), disable_tqdm=True)), tokens=[])


def instance(request: Request) -> tuple[str, dict[str, Any], tuple[Any, ...]]:
    """The first three fields of an instance: operation, document (which the model does not see) and arguments."""
    match request:
        case LoglikelihoodRequest():
            return "loglikelihood", {}, (request.context, request.continuation)
        case RollingRequest():
            return "loglikelihood_rolling", {}, (request.text,)
        case GenerationRequest():
            settings = request.settings
            greedy = {"do_sample": False, "temperature": 0.0, "max_gen_toks": settings.max_tokens}
            arguments = {"until": list(settings.until), **greedy, **dict(settings.extra)}
            return "generate_until", {}, (request.context, arguments)
