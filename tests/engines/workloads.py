"""What all engines are asked: documents of real benchmarks, prompted and scored by this package."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_lmeval.backends.protocol import Answer, Backend, Failure, Request
from pytest_lmeval.results import TaskResult
from pytest_lmeval.tasks.catalogue import Catalogue
from pytest_lmeval.tasks.evaluation import Evaluation
from pytest_lmeval.tasks.limits import Limit
from pytest_lmeval.tasks.options import EvaluationOptions
from pytest_lmeval.tasks.sources import Source, builtin_tasks
from pytest_lmeval.tasks.spec import TaskSpec, parse_task
from pytest_lmeval.tasks.yaml_loader import TaskDocument


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A task and how much of it. ``overrides`` are keys of the task file, replaced whole."""

    task: str
    documents: int | str
    shots: int = 0
    max_gen_toks: int | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)


# A core reads some 300 tokens of the demo model a second, so each document more is paid for by every engine.
WORKLOADS = (
    Workload(task="hellaswag", documents=100),
    Workload(task="arc_easy", documents=10, shots=5),
    Workload(task="mmlu_astronomy", documents=20, shots=5),
    Workload(task="lambada_openai", documents=20),
    Workload(task="wikitext", documents="first:1"),
    Workload(task="gsm8k", documents=4, shots=5, max_gen_toks=64, overrides={"fewshot_config": {"sampler": "first_n"}}),
)


class Asked:
    """A workload's requests, and the evaluation that scores their answers."""

    def __init__(self, workload: Workload, data_dir: Path) -> None:
        generation = {} if workload.max_gen_toks is None else {"max_gen_toks": workload.max_gen_toks}
        options = EvaluationOptions(
            limit=Limit.parse(workload.documents),
            num_fewshot=workload.shots,
            generation_kwargs=generation,
            data_dir=data_dir,
        )
        self._evaluation = Evaluation(_spec(workload), options)
        self.requests: list[Request] = list(self._evaluation.requests(itertools.count()))
        kind = self._evaluation.spec.output_type
        self.operation = "loglikelihood" if kind == "multiple_choice" else kind

    def answers(self, backend: Backend) -> list[Answer]:
        """Ask ``backend``; its answers in the order of the requests. None of them may fail."""
        found: dict[int, Answer] = {}
        for answer in getattr(backend, self.operation)(iter(self.requests)):
            assert not isinstance(answer, Failure), answer
            found[answer.id] = answer
        return [found[request.id] for request in self.requests]

    def result(self, answers: Sequence[Answer]) -> TaskResult:
        """Score the answers."""
        return self._evaluation.score(answers)


def _spec(workload: Workload) -> TaskSpec:
    document = Catalogue([Source("builtin", (builtin_tasks(),))]).find(workload.task)[0]
    return parse_task(TaskDocument(document.path, {**document.data, **workload.overrides}, document.lines))
