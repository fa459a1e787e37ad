"""What a task object asks of the model, and the answers on their way back to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
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
from pytest_lmeval.tasks.order import asking_order, sampling_settings
from pytest_lmeval.tasks.spec import TaskSpec


@dataclass(frozen=True, slots=True)
class Part:
    """The requests of one operation, in order; each stands for one instance's one repeat.

    ``run`` counts further runs of the same: each has an order and seeds of its own.
    """

    spec: TaskSpec
    instances: Sequence[Any]
    seed: int
    run: int = 0

    def requests(self, ids: Iterator[int]) -> Iterator[Request]:
        """Yield the requests, repeats of one next to each other."""
        for instance in self._order():
            for repeat in range(instance.repeats or 1):
                yield self._request(next(ids), instance, repeat)

    def regrouped(self, answers: Sequence[Answer | Failure]) -> Iterator[tuple[Any, list[Answer | Failure]]]:
        """Yield each instance with its answers."""
        remaining = iter(answers)
        for instance in self._order():
            yield instance, [next(remaining) for _ in range(instance.repeats or 1)]

    def _order(self) -> Iterator[Any]:
        """The instances by document: those of one document stay together."""
        by_document: dict[int, list[Any]] = {}
        for instance in self.instances:
            by_document.setdefault(instance.doc_id, []).append(instance)
        for index in asking_order(list(by_document), seed=self.seed, task=self.spec.task, run=self.run):
            yield from by_document[index]

    def _request(self, number: int, instance: Any, repeat: int) -> Request:
        if instance.request_type == "loglikelihood":
            context, continuation = instance.args
            return LoglikelihoodRequest(id=number, context=context, continuation=continuation)
        if instance.request_type == "loglikelihood_rolling":
            return RollingRequest(id=number, text=instance.args[0])
        context, given = instance.args
        settings = sampling_settings(
            generation_settings(self.spec, given, self.seed),
            repeat=repeat,
            run=self.run,
            repeats=instance.repeats or 1,
        )
        return GenerationRequest(id=number, context=context, settings=settings)


def conversation(messages: Sequence[Mapping[str, str]], add_generation_prompt: bool = True) -> Conversation:
    """Stand in for the chat template: the backend renders. ``add_generation_prompt`` follows from the last role."""
    return Conversation(tuple(Message(message["role"], message["content"]) for message in messages))


def plain(arguments: Sequence[Any]) -> list[Any]:
    """Arguments as values that can be hashed."""
    return [part.as_dicts() if isinstance(part, Conversation) else part for part in arguments]
