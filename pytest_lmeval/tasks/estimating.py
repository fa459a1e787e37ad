"""What a task will take, estimated from some of its prompts: no tokenizer is opened, no model asked."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from pytest_lmeval.backends.protocol import Context, Conversation, GenerationRequest, Request, RollingRequest
from pytest_lmeval.tasks.datasets import TaskDatasets
from pytest_lmeval.tasks.documents import DocumentStore
from pytest_lmeval.tasks.evaluation import Evaluation
from pytest_lmeval.tasks.options import EvaluationOptions
from pytest_lmeval.tasks.python_tasks import PythonEvaluation
from pytest_lmeval.tasks.python_tasks.opening import open_task
from pytest_lmeval.tasks.spec import TaskSpec

#: English text in the vocabularies of current models; other scripts and digits take more tokens.
CHARACTERS_PER_TOKEN = 4
#: That many documents' prompts are built.
DOCUMENTS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """``indices`` are the documents asked, of ``total``.

    ``requests`` and ``tokens`` (read, and written where a generation is as long as it may be) are estimates from some
    of the documents.
    """

    indices: tuple[int, ...]
    total: int
    requests: int
    tokens: int

    @property
    def documents(self) -> int:
        """How many documents are asked."""
        return len(self.indices)


def estimate(spec: TaskSpec, options: EvaluationOptions) -> Cost:
    """Read the task's documents and build some prompts. Raises UserError for mistakes in the task or its data."""
    evaluation = Evaluation(spec, options) if spec.python_class is None else PythonEvaluation(spec, options)
    built = [interview.requests for interview in evaluation.interviews(itertools.count(), most=DOCUMENTS)]
    scale = evaluation.selected / len(built) if built else 0.0
    characters = sum(_read(request) for requests in built for request in requests)
    written = sum(_written(request) for requests in built for request in requests)
    return Cost(
        indices=tuple(evaluation.indices),
        total=evaluation.total,
        requests=round(scale * sum(map(len, built))),
        tokens=round(scale * (characters / CHARACTERS_PER_TOKEN + written)),
    )


def count_documents(spec: TaskSpec, options: EvaluationOptions) -> int:
    """Return how many documents the evaluated split has. Raises UserError where it cannot be read."""
    if spec.python_class is not None:
        return len(list(open_task(spec, options).eval_docs))
    return len(DocumentStore(spec, TaskDatasets(spec, options.data_dir, options.metadata)).evaluated().rows)


def _read(request: Request) -> int:
    if isinstance(request, RollingRequest):
        return len(request.text)
    if isinstance(request, GenerationRequest):
        return _characters(request.context)
    return _characters(request.context) + len(request.continuation)


def _written(request: Request) -> int:
    return request.settings.max_tokens if isinstance(request, GenerationRequest) else 0


def _characters(context: Context) -> int:
    if isinstance(context, Conversation):
        return sum(len(message.content) for message in context.messages)
    return len(context)
