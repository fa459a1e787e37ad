"""What a task object asks of the model, and the answers on their way back to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pytest_lmeval.backends.protocol import (
    Answer,
    Conversation,
    Failure,
    GenerationRequest,
    LoglikelihoodRequest,
    Message,
    Request,
    RollingRequest,
)
from pytest_lmeval.tasks.generation import generation_settings
from pytest_lmeval.tasks.spec import TaskSpec


@dataclass(frozen=True, slots=True)
class Part:
    """The requests of one operation, in order; each stands for one instance's one repeat."""

    spec: TaskSpec
    instances: Sequence[Any]
    seed: int

    def requests(self, ids: Iterator[int]) -> Iterator[Request]:
        """Yield the requests, repeats of one next to each other."""
        for instance in self.instances:
            for repeat in range(instance.repeats or 1):
                yield self._request(next(ids), instance, repeat)

    def regrouped(self, answers: Sequence[Answer | Failure]) -> Iterator[tuple[Any, list[Answer | Failure]]]:
        """Yield each instance with its answers."""
        remaining = iter(answers)
        for instance in self.instances:
            yield instance, [next(remaining) for _ in range(instance.repeats or 1)]

    def _request(self, number: int, instance: Any, repeat: int) -> Request:
        if instance.request_type == "loglikelihood":
            context, continuation = instance.args
            return LoglikelihoodRequest(id=number, context=context, continuation=continuation)
        if instance.request_type == "loglikelihood_rolling":
            return RollingRequest(id=number, text=instance.args[0])
        context, given = instance.args
        settings = generation_settings(self.spec, given, self.seed)
        if settings.seed is not None and repeat:
            settings = replace(settings, seed=settings.seed + repeat)
        return GenerationRequest(id=number, context=context, settings=settings)


def conversation(messages: Sequence[Mapping[str, str]], add_generation_prompt: bool = True) -> Conversation:
    """Stand in for the chat template: the backend renders. ``add_generation_prompt`` follows from the last role."""
    return Conversation(tuple(Message(message["role"], message["content"]) for message in messages))


def plain(arguments: Sequence[Any]) -> list[Any]:
    """Arguments as values that can be hashed."""
    return [part.as_dicts() if isinstance(part, Conversation) else part for part in arguments]
