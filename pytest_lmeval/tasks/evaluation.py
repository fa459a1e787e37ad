"""A task made ready to run: documents chosen, examples drawn, requests built lazily, answers scored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pytest_lmeval.backends.protocol import (
    Answer,
    GenerationAnswer,
    LoglikelihoodAnswer,
    Request,
)
from pytest_lmeval.results import ItemResult, MetricValue, TaskResult, TaskSettings, metric_key
from pytest_lmeval.tasks import filters
from pytest_lmeval.tasks.aggregating import aggregated, counts_of_unscored, unreported, unscored
from pytest_lmeval.tasks.aggregation import is_gap
from pytest_lmeval.tasks.consent import check_consent, code_allowed
from pytest_lmeval.tasks.datasets import TaskDatasets
from pytest_lmeval.tasks.documents import DocumentStore
from pytest_lmeval.tasks.fewshot import draw
from pytest_lmeval.tasks.gate_metrics import check_gate_metrics
from pytest_lmeval.tasks.generation import effective_kwargs, generation_settings
from pytest_lmeval.tasks.metrics import metrics_of
from pytest_lmeval.tasks.options import EvaluationOptions
from pytest_lmeval.tasks.prompts import Shot
from pytest_lmeval.tasks.questions import Interview, Interviewer, Question, TaskShape
from pytest_lmeval.tasks.scoring import Scorer, gold_indices, margin, per_character
from pytest_lmeval.tasks.spec import TaskSpec
from pytest_lmeval.tasks.task_hash import task_hash
from pytest_lmeval.tasks.templates import FieldReader, explain


class Evaluation:
    """One task on its documents. Building it reads the dataset; ``requests`` renders prompts as they are pulled."""

    def __init__(self, spec: TaskSpec, options: EvaluationOptions) -> None:
        check_consent(spec, options)
        if spec.is_multimodal:
            raise spec.document.error(f"{spec.task} asks about images or sound; only text can be asked")
        self.spec = spec
        self._options = options
        store = DocumentStore(spec, TaskDatasets(spec, options.data_dir, options.metadata))
        documents = store.evaluated()
        self._documents = documents.rows
        with code_allowed(spec, options):
            self._metrics = metrics_of(spec)
            self._pipelines = filters.pipelines(spec)
        check_gate_metrics(spec, self._metrics, self._pipelines)
        reader = FieldReader(documents.columns, has_choices=spec.doc_to_choice is not None)
        self._shape = self._shape_of(reader)
        self._scorer = Scorer(spec, self._shape, self._metrics)
        self._generation_kwargs = effective_kwargs(spec, options.generation_kwargs)
        generation = generation_settings(spec, self._generation_kwargs, options.seed)
        self._interviewer = Interviewer(spec, reader, self._shape, generation, options.prompt)
        self._num_fewshot = _num_fewshot(spec, options.num_fewshot)
        self._pool = store.fewshot_pool() if self._num_fewshot else ()
        self._indices = self._chosen()
        self._shots = self._draw()
        self._examples: dict[int, Shot] = {}
        self._questions: list[Question] = []

    @property
    def selected(self) -> int:
        """How many documents are asked."""
        return len(self._indices)

    @property
    def settings(self) -> TaskSettings:
        """How the task is run: what a result is comparable by."""
        generates = self.spec.output_type == "generate_until"
        return TaskSettings(
            dataset=self.spec.dataset_path or "custom",
            dataset_config=self.spec.dataset_name,
            split=self.spec.evaluated_split,
            num_fewshot=self._num_fewshot,
            seed=self._options.seed,
            limit=self._options.limit.text if self._options.limit else None,
            output_type=self.spec.output_type,
            generation=self._generation_kwargs if generates else None,
            task_hash=task_hash(self.spec),
            version=self.spec.version,
        )

    @property
    def total_requests(self) -> int | None:
        """How many requests the task makes, once all are built; before that an estimate from those built."""
        if not self._questions:
            return None
        calls = sum(q.calls for q in self._questions) / len(self._questions)
        return round(calls * len(self._indices)) * self.spec.repeats

    @property
    def total(self) -> int:
        """How many documents the evaluated split has."""
        return len(self._documents)

    def requests(self, ids: Iterator[int]) -> Iterator[Request]:
        """Yield the requests in the order of the documents, each with the next of ``ids``."""
        for interview in self.interviews(ids):
            self._questions.append(interview.question)
            yield from interview.requests

    def interviews(self, ids: Iterator[int]) -> Iterator[Interview]:
        """Yield each document with what is asked about it; nothing is kept, so it cannot be scored."""
        for index in self._indices:
            document = self._documents[index]
            try:
                shots = tuple(self._example(i) for i in self._shots[index])
                question, requests = self._interviewer.ask(index, document, shots, ids)
            except Exception as error:  # a task's own functions may raise anything
                raise explain(self.spec.document, "prompt", error, document) from error
            yield Interview(document, shots, question, tuple(requests))

    def score(self, answers: Sequence[Answer], *, seconds: float = 0.0) -> TaskResult:
        """Score the answers to all requests, given in the order of the requests."""
        responses = [_response(answer) for answer in answers]
        grouped = self._by_question(responses)
        documents = [self._documents[q.index] for q in self._questions]
        with code_allowed(self.spec, self._options):
            scored = {name: self._scored(pipeline, grouped, documents) for name, pipeline in self._pipelines.items()}
            metrics = [m for name, rows in scored.items() for m in aggregated(self.spec, self._scorer, name, rows)]
        warnings = tuple(self._warnings(scored, metrics))
        main = _main_metric(self.spec, metrics)
        return TaskResult(
            task=self.spec.task,
            n=len(self._questions),
            total=len(self._documents),
            metrics=tuple(metrics),
            main_metric=main,
            items=tuple(self._items(scored, grouped, main)),
            settings=self.settings,
            tokens=sum(answer.tokens for answer in answers),
            seconds=seconds,
            warnings=warnings,
            unscored={
                key: count
                for name, rows in scored.items()
                for key, count in counts_of_unscored(self._scorer, name, rows).items()
            },
            alias=self.spec.task_alias,
        )

    def _warnings(self, scored: Mapping[str, list[dict[str, Any]]], metrics: Sequence[MetricValue]) -> Iterator[str]:
        indices = [question.index for question in self._questions]
        yield from unreported(self.spec, self._metrics, metrics)
        for name, rows in scored.items():
            yield from unscored(self._scorer, name, rows, indices)

    def _example(self, index: int) -> Shot:
        """Render example ``index`` of the pool, once: a fixed few-shot prefix serves thousands of documents."""
        if index not in self._examples:
            self._examples[index] = self._interviewer.shot(self._pool[index])
        return self._examples[index]

    def _shape_of(self, reader: FieldReader) -> TaskShape:
        first = self._documents[0]
        try:
            return TaskShape.of(self.spec, reader, first, list(self._metrics))
        except Exception as error:
            raise explain(self.spec.document, "doc_to_text", error, first) from error

    def _chosen(self) -> Sequence[int]:
        total = len(self._documents)
        if self._options.limit is None:
            return range(total)
        return self._options.limit.choose(total, seed=self._options.seed, task=self.spec.task)

    def _draw(self) -> Sequence[tuple[int, ...]]:
        return draw(self.spec, self._pool, self._documents, self._num_fewshot, self._options.seed)

    def _by_question(self, responses: Sequence[Any]) -> list[list[list[Any]]]:
        """Regroup flat responses: per question, per request, one entry a repeat."""
        remaining = iter(responses)
        repeats = self.spec.repeats
        return [[[next(remaining) for _ in range(repeats)] for _ in range(q.calls)] for q in self._questions]

    def _scored(
        self, pipeline: filters.Filter, grouped: list[list[list[Any]]], documents: list[Any]
    ) -> list[dict[str, Any]]:
        flat = [request for question in grouped for request in question]
        per_request = [d for d, question in zip(documents, grouped, strict=True) for _ in question]
        filtered = iter(self._filtered(pipeline, flat, per_request))
        results = [[next(filtered) for _ in question] for question in grouped]
        triples = zip(self._questions, documents, results, strict=True)
        return [self._score_one(*triple) for triple in triples]

    def _filtered(self, pipeline: filters.Filter, responses: list[list[Any]], documents: list[Any]) -> Any:
        try:
            return pipeline(responses, documents)
        except Exception as error:  # a task's own filters may raise anything
            problem = f"filter_list: {type(error).__name__}: {error}"
            raise self.spec.document.error(problem, "filter_list") from error

    def _score_one(self, question: Question, document: Any, result: list[Any]) -> dict[str, Any]:
        try:
            return self._scorer.score(question, document, result)
        except Exception as error:  # a task's own functions may raise anything
            field = "process_results" if self.spec.process_results else "metric_list"
            raise explain(self.spec.document, field, error, document) from error

    def _items(
        self, scored: Mapping[str, list[dict[str, Any]]], grouped: list[list[list[Any]]], main: str
    ) -> Iterator[ItemResult]:
        for position, question in enumerate(self._questions):
            scores: dict[str, float] = {}
            for filter_name, rows in scored.items():
                for name, value in rows[position].items():
                    scores.update(self._per_document(metric_key(name, filter_name), name, value))
            first = [request[0] for request in grouped[position]]
            yield ItemResult(
                index=question.index,
                document_hash=question.document_hash,
                prompt_hash=question.prompt_hash,
                target_hash=question.target_hash,
                scores=scores,
                margin=self._margin(question, first, main),
                prompt=question.prompt_tail,
                target=_shown_target(question),
                answer=_shown_answer(question, first, main),
            )

    def _per_document(self, key: str, name: str, value: Any) -> dict[str, float]:
        return {} if is_gap(value) else self._scorer.metric(name).aggregation.per_document(key, value)

    def _margin(self, question: Question, first: list[Any], main: str) -> float | None:
        if self.spec.output_type != "multiple_choice" or self.spec.process_results is not None:
            return None
        return margin(question, first, by_length=main == "acc_norm")


def _num_fewshot(spec: TaskSpec, override: int | None) -> int:
    # A file that says exactly 0 locks it: its prompt brings its own examples.
    if override is None or spec.num_fewshot == 0:
        return spec.num_fewshot or 0
    return override


def _response(answer: Answer) -> Any:
    if isinstance(answer, LoglikelihoodAnswer):
        return (answer.logprob, answer.is_greedy)
    return answer.text if isinstance(answer, GenerationAnswer) else answer.logprob


def _main_metric(spec: TaskSpec, metrics: Sequence[MetricValue]) -> str:
    """The first that ``gate:`` names, else the one the field quotes (acc_norm, acc), else the first of the file."""
    keys = [m.key for m in metrics]
    return next((key for key in (*(spec.gate or ()), "acc_norm", "acc") if key in keys), keys[0])


def _shown_target(question: Question) -> str:
    if question.choices and not isinstance(question.gold, str):
        choices = [question.choices[i] for i in gold_indices(question) if i >= 0]
        return " | ".join(choices)
    return str(question.gold)


def _shown_answer(question: Question, results: list[Any], main: str) -> str:
    first = results[0]
    if isinstance(first, str):
        return first
    if not question.choices:
        return "greedy" if isinstance(first, tuple) and first[1] else "not greedy"
    scores = [logprob for logprob, _ in results[: len(question.choices)]]
    if main == "acc_norm":
        scores = list(per_character(scores, question.choices))
    return question.choices[scores.index(max(scores))]
