"""Small tasks on disk, and what is asked and answered of them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import dedent
from typing import Any

import yaml

from pytest_lmeval.backends.fake import FakeBackend
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
from pytest_lmeval.broker import Broker, Job
from pytest_lmeval.results import TaskResult
from pytest_lmeval.tasks.evaluation import Evaluation
from pytest_lmeval.tasks.options import EvaluationOptions
from pytest_lmeval.tasks.spec import TaskSpec, parse_task
from pytest_lmeval.tasks.yaml_loader import read_task_file

Row = Mapping[str, Any]
Splits = Mapping[str, Sequence[Row]]

CHOICE: dict[str, Any] = {
    "output_type": "multiple_choice",
    "doc_to_text": "Q: {{question}}\nA:",
    "doc_to_choice": "choices",
    "doc_to_target": "label",
}
CHOICE_ROWS: list[dict[str, Any]] = [
    {"question": "one plus one", "choices": ["two", "three"], "label": 0, "answer": "two"},
    {"question": "red and blue", "choices": ["grey", "purple", "a very long colour"], "label": 1, "answer": "purple"},
    {"question": "Ñandú?", "choices": ["bird", "fish"], "label": 0, "answer": "bird"},
]


def write(path: Path, text: str) -> Path:
    """Write ``text``, its common indentation removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dedent(text), encoding="utf-8")
    return path


def write_rows(path: Path, rows: Sequence[Row]) -> Path:
    return write(path, "".join(json.dumps(row) + "\n" for row in rows))


def task_file(folder: Path, keys: Mapping[str, Any], splits: Splits, *, functions: str = "", tail: str = "") -> Path:
    """Write a task with its rows beside it; ``tail`` is YAML that ``keys`` cannot say, ``functions`` a utils.py."""
    for split, rows in splits.items():
        write_rows(folder / "rows" / f"{split}.jsonl", rows)
    if functions:
        write(folder / "utils.py", functions)
    own: dict[str, Any] = {
        "task": "small",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {split: f"rows/{split}.jsonl" for split in splits}},
    }
    if "test" in splits:
        own["test_split"] = "test"
    content = {key: value for key, value in {**own, **keys}.items() if value is not None}
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True) + dedent(tail)
    path = folder / "small.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def spec_of(path: Path) -> TaskSpec:
    document = read_task_file(path)
    assert document is not None
    return parse_task(document)


def small_task(
    folder: Path,
    keys: Mapping[str, Any] | None = None,
    rows: Sequence[Row] = CHOICE_ROWS,
    *,
    functions: str = "",
    tail: str = "",
    **splits: Sequence[Row],
) -> TaskSpec:
    """Make a task of multiple choice, ``keys`` aside; None removes a key."""
    return spec_of(
        task_file(folder, {**CHOICE, **(keys or {})}, {"test": rows, **splits}, functions=functions, tail=tail)
    )


def asked(spec: TaskSpec, **options: Any) -> list[Request]:
    return list(Evaluation(spec, EvaluationOptions(**options)).requests(itertools.count()))


def call_of(request: Request) -> tuple[Any, ...]:
    """What the model sees of a request."""
    match request:
        case LoglikelihoodRequest():
            return (request.context, request.continuation)
        case RollingRequest():
            return (request.text,)
        case GenerationRequest():
            return (request.context,)


def scored(spec: TaskSpec, responses: Sequence[Any], **options: Any) -> TaskResult:
    """Score made-up responses: (nats, is greedy), a text, or nats for a rolling request."""
    evaluation = Evaluation(spec, EvaluationOptions(**options))
    requests = list(evaluation.requests(itertools.count()))
    assert len(requests) == len(responses)
    return evaluation.score([answer_to(*pair) for pair in zip(requests, responses, strict=True)])


def answer_to(request: Request, response: Any) -> Answer:
    if isinstance(response, tuple):
        return LoglikelihoodAnswer(id=request.id, logprob=response[0], is_greedy=response[1], tokens=3)
    if isinstance(response, str):
        return GenerationAnswer(id=request.id, text=response, tokens=3)
    return RollingAnswer(id=request.id, logprob=response, tokens=3)


def run(spec: TaskSpec, backend: FakeBackend | None = None, **options: Any) -> TaskResult:
    """Evaluate on a fake model."""
    evaluation = Evaluation(spec, EvaluationOptions(**options))
    operation = "loglikelihood" if spec.output_type == "multiple_choice" else spec.output_type
    answers = Broker(backend or FakeBackend()).answers(Job(name="small", operation=operation, open=lambda: evaluation))
    return evaluation.score(answers)


def choose(*picks: int, count: int = 2) -> list[tuple[float, bool]]:
    """Responses that make each document's choice number ``pick`` of ``count`` the best."""
    return [(-1.0 if i == pick else -5.0, i == pick) for pick in picks for i in range(count)]
