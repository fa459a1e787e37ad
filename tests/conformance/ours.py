"""The same task as this plugin builds and scores it, on the same rows."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from pytest_lmeval.backends.protocol import (
    Answer,
    GenerationAnswer,
    GenerationRequest,
    LoglikelihoodAnswer,
    LoglikelihoodRequest,
    Request,
    RollingAnswer,
    RollingRequest,
)
from pytest_lmeval.tasks import documents
from pytest_lmeval.tasks.evaluation import Evaluation
from pytest_lmeval.tasks.functions import resolve
from pytest_lmeval.tasks.options import EvaluationOptions
from pytest_lmeval.tasks.spec import TaskSpec, parse_task
from pytest_lmeval.tasks.templates import call_for
from pytest_lmeval.tasks.yaml_loader import read_task_file
from tests.conformance.reference import given_rows, reseed, seed_everything


def load_spec(path: Path) -> TaskSpec:
    """Read a task file with the plugin's own reader."""
    document = read_task_file(path)
    assert document is not None, f"{path} names no task"
    return parse_task(document)


class Ours:
    """A built task. Raises whatever the plugin raises."""

    def __init__(self, spec: TaskSpec, rows: Mapping[str, Any], num_fewshot: int) -> None:
        with given_rows(rows), mock.patch.object(documents, "call_for", _reseeded):
            self._evaluation = Evaluation(spec, EvaluationOptions(num_fewshot=num_fewshot, unsafe_code=True))
            seed_everything()
            self._requests = list(self._evaluation.requests(itertools.count()))

    def requests(self) -> list[tuple[Any, ...]]:
        """The arguments of every request, in the order of the documents."""
        return [_comparable(request) for request in self._requests]

    def metrics(self, answers: Sequence[Any]) -> dict[str, tuple[float, float | None]]:
        """Value and standard error by ``metric,filter``."""
        pairs = zip(self._requests, answers, strict=True)
        result = self._evaluation.score([_answer(request.id, answer) for request, answer in pairs])
        return {(m.name, m.filter): (m.value, m.stderr) for m in result.metrics}  # type: ignore[misc]


def _reseeded(source: Any, field: str, reference: Any, *arguments: Any, **named: Any) -> Any:
    reseed(resolve(reference))
    return call_for(source, field, reference, *arguments, **named)


def _comparable(request: Request) -> tuple[Any, ...]:
    match request:
        case LoglikelihoodRequest():
            return (request.context, request.continuation)
        case RollingRequest():
            return (request.text,)
        case GenerationRequest():
            settings = request.settings
            return (request.context, settings.until, settings.max_tokens, settings.do_sample)


def _answer(number: int, answer: Any) -> Answer:
    if isinstance(answer, str):
        return GenerationAnswer(id=number, text=answer, tokens=0)
    if isinstance(answer, float):
        return RollingAnswer(id=number, logprob=answer, tokens=0)
    return LoglikelihoodAnswer(id=number, logprob=answer[0], is_greedy=answer[1], tokens=0)
