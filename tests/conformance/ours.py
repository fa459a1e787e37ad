"""The same task as this plugin builds and scores it, on the same rows."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
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
from pytest_lmeval.results import TaskResult
from pytest_lmeval.tasks import documents
from pytest_lmeval.tasks.evaluation import Evaluation
from pytest_lmeval.tasks.functions import resolve
from pytest_lmeval.tasks.hub_files import HubFile
from pytest_lmeval.tasks.options import EvaluationOptions
from pytest_lmeval.tasks.python_tasks import PythonEvaluation
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
        with given_rows(rows), mock.patch.object(documents, "call_for", _reseeded), TemporaryDirectory() as folder:
            data_dir = _as_files(spec, rows, Path(folder))
            options = EvaluationOptions(num_fewshot=num_fewshot, unsafe_code=True, data_dir=data_dir)
            self._evaluation = Evaluation(spec, options) if spec.python_class is None else _Parts(spec, options)
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


class _Parts:
    """A Python task, whose requests come in a part for each operation, as one."""

    def __init__(self, spec: TaskSpec, options: EvaluationOptions) -> None:
        self._evaluation = PythonEvaluation(spec, options)
        self._sizes: dict[str, int] = {}

    def requests(self, ids: Iterator[int]) -> Iterator[Request]:
        for operation, part in self._evaluation.parts.items():
            requests = list(part.requests(ids))
            self._sizes[operation] = len(requests)
            yield from requests

    def score(self, answers: Sequence[Answer]) -> TaskResult:
        remaining = iter(answers)
        by_part = {name: list(itertools.islice(remaining, size)) for name, size in self._sizes.items()}
        return self._evaluation.score(by_part)


def _as_files(spec: TaskSpec, rows: Mapping[str, Any], folder: Path) -> Path | None:
    """Lay the rows out for a task that names single files of a dataset on the hub; None for any other."""
    named = spec.dataset_kwargs.get("data_files")
    files = {split: HubFile.parse(name) for split, name in named.items()} if isinstance(named, Mapping) else {}
    for split, file in files.items():
        if file is not None and split in rows:
            path = folder / file.repository / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            write = rows[split].to_csv if path.suffix == ".csv" else rows[split].to_json
            write(path)
    return folder if any(files.values()) else None


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
