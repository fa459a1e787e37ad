"""A task made ready to run: documents chosen, examples drawn, requests built lazily, answers scored."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from pytest_lmeval.backends.protocol import Answer, Failure, Request
from pytest_lmeval.results import ItemResult, MetricValue, TaskResult, TaskSettings
from pytest_lmeval.tasks import filters
from pytest_lmeval.tasks.aggregating import (
    aggregated,
    kind_of,
    main_metric,
    unreduced,
    unreported,
    unscored,
    unscored_by_metric,
)
from pytest_lmeval.tasks.consent import check_consent, code_allowed
from pytest_lmeval.tasks.datasets import TaskDatasets
from pytest_lmeval.tasks.documents import DocumentStore
from pytest_lmeval.tasks.facets import Columns
from pytest_lmeval.tasks.fewshot import draw
from pytest_lmeval.tasks.gate_metrics import check_gate_metrics
from pytest_lmeval.tasks.generation import effective_kwargs, generation_settings
from pytest_lmeval.tasks.items import Items, Scored
from pytest_lmeval.tasks.metrics import metrics_of
from pytest_lmeval.tasks.options import EvaluationOptions
from pytest_lmeval.tasks.order import asking_order, random_order
from pytest_lmeval.tasks.prompts import Shot
from pytest_lmeval.tasks.questions import Interview, Interviewer, Question, TaskShape
from pytest_lmeval.tasks.replies import Reply, by_question, left_out, scorable, tokens
from pytest_lmeval.tasks.sampling import chosen, evenly
from pytest_lmeval.tasks.scoring import Scorer
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
        self._columns = Columns.of(spec, documents.columns, self._documents[0])
        reader = FieldReader(documents.columns, has_choices=spec.doc_to_choice is not None)
        self._shape = self._shape_of(reader)
        self._scorer = Scorer(spec, self._shape, self._metrics)
        self._generation_kwargs = effective_kwargs(spec, options.generation_kwargs)
        generation = generation_settings(spec, self._generation_kwargs, options.seed)
        self._interviewer = Interviewer(spec, reader, self._shape, generation, options.prompt, options.run)
        self._num_fewshot = _num_fewshot(spec, options.num_fewshot)
        self._pool = store.fewshot_pool() if self._num_fewshot else ()
        self._indices = chosen(options, self._documents, spec.task)
        self._shots = self._draw()
        self._examples: dict[int, Shot] = {}
        self._questions: list[Question] = []
        self._ends: list[int] = []
        self._rows: dict[tuple[str, int], dict[str, Any]] = {}

    @property
    def selected(self) -> int:
        """How many documents are asked."""
        return len(self._indices)

    @property
    def indices(self) -> Sequence[int]:
        """Which documents are asked, by their place in the evaluated split, in ascending order."""
        return self._indices

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
            limit=self._options.selection(self.spec.task),
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

    @property
    def scores_singly(self) -> bool:
        """Whether a document can be scored without the others: the task brings no filters of its own."""
        return not filters.own_filters(self.spec)

    @property
    def ends(self) -> Sequence[int]:
        """For each document asked so far, in that order, how many requests there were up to and with its own."""
        return self._ends

    def shuffle(self) -> None:
        """Ask the documents in a seeded random order. The result is that of any other order."""
        self._indices = random_order(
            self._indices,
            lambda index: self._columns.cluster_of(self._documents[index]),
            seed=self._options.seed,
            task=self.spec.task,
        )

    def requests(self, ids: Iterator[int]) -> Iterator[Request]:
        """Yield the requests in the order of the documents, in a further run's own; each with the next of ``ids``."""
        for interview in self.interviews(ids):
            self._questions.append(interview.question)
            self._ends.append(len(interview.requests) + (self._ends[-1] if self._ends else 0))
            yield from interview.requests

    def interviews(self, ids: Iterator[int], *, most: int | None = None) -> Iterator[Interview]:
        """Yield each document with what is asked about it; nothing is kept, so it cannot be scored.

        At most ``most`` documents, spread evenly over those that are asked.
        """
        for index in self._order() if most is None else evenly(self._indices, most):
            document = self._documents[index]
            try:
                shots = tuple(self._example(i) for i in self._shots[index])
                question, requests = self._interviewer.ask(index, document, shots, ids)
            except Exception as error:  # a task's own functions may raise anything
                raise explain(self.spec.document, "prompt", error, document) from error
            yield Interview(document, shots, question, tuple(requests))

    def item(self, number: int, answers: Sequence[Answer | Failure]) -> ItemResult:
        """Score the document that was asked as number ``number``, from 0, by the answers to its requests alone.

        Only where :attr:`scores_singly`. What the task's own functions make of it is not computed again by
        :meth:`score`; what follows from all documents together, facets and counts, is left to that.
        """
        replies = by_question([self._questions[number]], answers, self.spec.repeats)
        good = [reply for reply in replies if not reply.failures]
        document = self._documents[replies[0].question.index]
        with code_allowed(self.spec, self._options):
            scored = self._scored_by_filter(good, [document] * len(good), singly=True)
        for name, one in scored.items():
            self._rows.update(((name, reply.question.index), row) for reply, row in zip(good, one.rows, strict=True))
        found = [metric for one in scored.values() for metric in one.found.metrics]
        main = main_metric(self.spec, found or [kind_of(self._scorer, "", next(iter(scored)))])
        [item] = Items(self.spec, self._scorer, main).make(replies, scored, self._columns, [document])
        return item

    def score(
        self, answers: Sequence[Answer | Failure], *, seconds: float = 0.0, stopped: str | None = None
    ) -> TaskResult:
        """Score the answers to all requests, given in the order of the requests.

        Documents with a failure are left out of every metric. Where the task was ``stopped`` for some reason these are
        the answers about the first documents. Raises BackendError where no document can be scored.
        """
        # Sorted, so that the order of asking leaves no trace in a result.
        asked = self._questions if stopped is None else self._questions[: bisect_right(self._ends, len(answers))]
        replies = sorted(by_question(asked, answers, self.spec.repeats), key=lambda reply: reply.question.index)
        good = scorable(self.spec.task, replies)
        documents = {reply.question.index: self._documents[reply.question.index] for reply in replies}
        with code_allowed(self.spec, self._options):
            scored = self._scored_by_filter(good, [documents[reply.question.index] for reply in good])
        metrics = [metric for one in scored.values() for metric in one.found.metrics]
        told = () if stopped is None else (f"stopped {stopped}",)
        warnings = (*told, *left_out(replies), *self._warnings(good, scored, metrics))
        main = main_metric(self.spec, metrics)
        items = Items(self.spec, self._scorer, main).make(replies, scored, self._columns, [*documents.values()])
        return TaskResult(
            task=self.spec.task,
            n=len(replies),
            total=len(self._documents),
            metrics=tuple(metrics),
            main_metric=main.key,
            items=tuple(items),
            settings=self.settings,
            tokens=tokens(answers),
            seconds=seconds,
            warnings=warnings,
            unscored=unscored_by_metric(
                self._scorer, {name: one.rows for name, one in scored.items()}, metrics, len(replies) - len(good)
            ),
            alias=self.spec.task_alias,
            errors=len(replies) - len(good),
            stopped=stopped,
        )

    def _warnings(
        self, good: Sequence[Reply], scored: Mapping[str, Scored], metrics: Sequence[MetricValue]
    ) -> Iterator[str]:
        indices = [reply.question.index for reply in good]
        yield from unreported(self.spec, self._metrics, metrics)
        for name, one in scored.items():
            yield from unscored(self._scorer, name, one.rows, indices)

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

    def _order(self) -> Sequence[int]:
        options = self._options
        return asking_order(self._indices, seed=options.seed, task=self.spec.task, run=options.run)

    def _draw(self) -> Sequence[tuple[int, ...]]:
        return draw(self.spec, self._pool, self._documents, self._num_fewshot, self._options.seed)

    def _scored_by_filter(
        self, replies: Sequence[Reply], documents: Sequence[Any], *, singly: bool = False
    ) -> dict[str, Scored]:
        responses = [reply.responses for reply in replies]
        return {name: self._scored(name, replies, responses, documents, singly=singly) for name in self._pipelines}

    def _scored(
        self,
        name: str,
        replies: Sequence[Reply],
        responses: Sequence[list[list[Any]]],
        documents: Sequence[Any],
        *,
        singly: bool,
    ) -> Scored:
        flat = [request for document in responses for request in document]
        per_request = [d for d, requests in zip(documents, responses, strict=True) for _ in requests]
        filtered = iter(self._filtered(self._pipelines[name], flat, per_request))
        results = [[next(filtered) for _ in document] for document in responses]
        triples = zip(replies, documents, results, strict=True)
        rows = [self._row(name, reply.question, document, result) for reply, document, result in triples]
        choices = max((len(reply.question.choices) for reply in replies), default=0)
        reduce = unreduced if singly else partial(aggregated, self.spec, choices=choices)
        return Scored(results, rows, reduce(self._scorer, name, rows))

    def _filtered(self, pipeline: filters.Filter, responses: list[list[Any]], documents: list[Any]) -> Any:
        try:
            return pipeline(responses, documents)
        except Exception as error:  # a task's own filters may raise anything
            problem = f"filter_list: {type(error).__name__}: {error}"
            raise self.spec.document.error(problem, "filter_list") from error

    def _row(self, name: str, question: Question, document: Any, result: list[Any]) -> dict[str, Any]:
        known = self._rows.get((name, question.index))
        return self._score_one(question, document, result) if known is None else known

    def _score_one(self, question: Question, document: Any, result: list[Any]) -> dict[str, Any]:
        try:
            return self._scorer.score(question, document, result)
        except Exception as error:  # a task's own functions may raise anything
            field = "process_results" if self.spec.process_results else "metric_list"
            raise explain(self.spec.document, field, error, document) from error


def _num_fewshot(spec: TaskSpec, override: int | None) -> int:
    # A file that says exactly 0 locks it: its prompt brings its own examples.
    if override is None or spec.num_fewshot == 0:
        return spec.num_fewshot or 0
    return override
