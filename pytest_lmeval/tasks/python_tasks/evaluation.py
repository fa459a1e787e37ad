"""A Python task made ready to run. The class decides what is asked and how it is scored; the model is ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pytest_lmeval.backends.protocol import Answer, Failure
from pytest_lmeval.results import TaskResult, TaskSettings
from pytest_lmeval.tasks.aggregating import aggregated, main_metric, unscored, unscored_by_metric
from pytest_lmeval.tasks.consent import check_consent, code_allowed
from pytest_lmeval.tasks.facets import Columns
from pytest_lmeval.tasks.options import EvaluationOptions
from pytest_lmeval.tasks.python_tasks.asking import Part, conversation, plain
from pytest_lmeval.tasks.python_tasks.items import make_items
from pytest_lmeval.tasks.python_tasks.metrics import ClassMetrics
from pytest_lmeval.tasks.python_tasks.opening import open_task
from pytest_lmeval.tasks.questions import Interview, Question, content_hash, split
from pytest_lmeval.tasks.replies import Reply, left_out, response_of, scorable, tokens
from pytest_lmeval.tasks.sampling import chosen, evenly
from pytest_lmeval.tasks.spec import TaskSpec
from pytest_lmeval.tasks.task_hash import task_hash
from pytest_lmeval.tasks.templates import explain


class PythonEvaluation:
    """One ``class:`` task on its documents. Building it reads the dataset and builds every prompt.

    Such a task may ask several operations of one document, so its requests come in a ``part`` for each.
    """

    def __init__(self, spec: TaskSpec, options: EvaluationOptions) -> None:
        check_consent(spec, options)
        self.spec = spec
        self._options = options
        self._task = open_task(spec, options)
        if getattr(self._task, "MULTIMODAL", False):
            raise spec.document.error(f"{spec.task} asks about images or sound; only text can be asked")
        self._metrics = ClassMetrics(self._task)
        self._documents = list(self._task.eval_docs)
        self._columns = self._named_columns()
        self._instances = list(self._built())
        by_operation: dict[str, list[Any]] = {}
        for instance in self._instances:
            by_operation.setdefault(instance.request_type, []).append(instance)
        self.parts = {name: Part(spec, group, options.seed, options.run) for name, group in by_operation.items()}

    def score(self, answers: Mapping[str, Sequence[Answer | Failure]], *, seconds: float = 0.0) -> TaskResult:
        """Score the answers to each part's requests, given in the order of the requests.

        Documents with a failure are left out of every metric. Raises BackendError where all are.
        """
        replies = self._replies(answers)
        answered = {reply.question.index for reply in scorable(self.spec.task, replies)}
        instances = {index: group for index, group in self._by_document().items() if index in answered}
        with code_allowed(self.spec, self._options):
            rows = self._scored(instances)
            columns = {name: list(scored.values()) for name, scored in rows.items()}
            found = {
                name: aggregated(self.spec, self._metrics, name, column, field="class")
                for name, column in columns.items()
            }
        metrics = [metric for one in found.values() for metric in one.metrics]
        if not metrics:
            raise self.spec.document.error(f"class: {self.spec.task} returned no metric for any document", "class")
        main = main_metric(self.spec, metrics)
        filtered = {index: group[0].filtered_resps[main.filter] for index, group in instances.items()}
        counts = {
            index: {key: value for one in found.values() for key, value in one.counts[place].items()}
            for place, index in enumerate(instances)
        }
        documents = [self._documents[reply.question.index] for reply in replies]
        errors = len(replies) - len(answered)
        return TaskResult(
            task=self.spec.task,
            n=len(replies),
            total=len(self._documents),
            metrics=tuple(metrics),
            main_metric=main.key,
            items=tuple(make_items(replies, rows, counts, filtered, self._metrics, self._columns, documents)),
            settings=self.settings,
            tokens=sum(tokens(group) for group in answers.values()),
            seconds=seconds,
            warnings=(
                *left_out(replies),
                *(
                    warning
                    for name, column in columns.items()
                    for warning in unscored(self._metrics, name, column, list(instances))
                ),
            ),
            unscored=unscored_by_metric(self._metrics, columns, metrics, errors),
            alias=self.spec.task_alias,
            errors=errors,
        )

    def _replies(self, answers: Mapping[str, Sequence[Answer | Failure]]) -> list[Reply]:
        """Give each instance its answers, and each document what came back about it."""
        found: dict[int, list[Answer | Failure]] = {}
        for operation, part in self.parts.items():
            for instance, got in part.regrouped(answers[operation]):
                found[id(instance)] = got
                instance.resps = [response_of(answer) for answer in got if not isinstance(answer, Failure)]
        return [
            Reply(self._question(index, group), [found[id(instance)] for instance in group])
            for index, group in self._by_document().items()
        ]

    @property
    def total(self) -> int:
        """How many documents the evaluated split has."""
        return len(self._documents)

    @property
    def selected(self) -> int:
        """How many documents are asked."""
        return len(self._by_document())

    @property
    def indices(self) -> Sequence[int]:
        """Which documents are asked, by their place in the evaluated split, in ascending order."""
        return list(self._by_document())

    @property
    def settings(self) -> TaskSettings:
        """How the task is run: what a result is comparable by."""
        config = self._task.config
        return TaskSettings(
            dataset=self._task.DATASET_PATH or config.dataset_path or "custom",
            dataset_config=self._task.DATASET_NAME or config.dataset_name,
            split="test" if self._task.has_test_docs() else "validation",
            num_fewshot=config.num_fewshot or 0,
            seed=self._options.seed,
            limit=self._options.selection(self.spec.task),
            output_type="+".join(self.parts),
            generation=dict(self._options.generation_kwargs) or None,
            task_hash=task_hash(self.spec),
            version=None if getattr(self._task, "VERSION", None) is None else str(self._task.VERSION),
        )

    def interviews(self, ids: Iterator[int], *, most: int | None = None) -> Iterator[Interview]:
        """Yield each document with what is asked about it; its examples are inside the contexts.

        At most ``most`` documents, spread evenly over those that are asked.
        """
        by_document = self._by_document()
        for index in evenly(list(by_document), len(by_document) if most is None else most):
            instances = by_document[index]
            document, requests = self._documents[index], Part(self.spec, instances, self._options.seed).requests(ids)
            yield Interview(document, (), self._question(index, instances), tuple(requests))

    def _named_columns(self) -> Columns:
        first = self._documents[0] if self._documents else {}
        if not isinstance(first, Mapping):
            # Its documents have no columns: then the gate names none.
            first = {}
        return Columns.of(self.spec, list(first), first)

    def _built(self) -> Iterator[Any]:
        """Build every document's instances: the examples come from one stream, whichever documents are asked."""
        wanted = set(chosen(self._options, self._documents, self.spec.task))
        draws = bool(self._task.config.num_fewshot)
        for index, document in enumerate(self._documents):
            if draws or index in wanted:
                instances = self._ask(index, document)
                yield from instances if index in wanted else ()

    def _ask(self, index: int, document: Any) -> list[Any]:
        task, prompt = self._task, self._options.prompt
        template = conversation if prompt.chat_template else None
        try:
            context = task.fewshot_context(
                document,
                num_fewshot=task.config.num_fewshot or 0,
                system_instruction=prompt.system or None,
                apply_chat_template=prompt.chat_template,
                fewshot_as_multiturn=prompt.multiturn,
                chat_template=template,
                gen_prefix=task.doc_to_prefix(document),
            )
            built = task.construct_requests(
                doc=document,
                ctx=context,
                metadata=(self.spec.task, index, task.config.repeats),
                apply_chat_template=prompt.chat_template,
                chat_template=template,
            )
        except Exception as error:  # the task's class may raise anything
            raise explain(self.spec.document, "class", error, document) from error
        return built if isinstance(built, list) else [built]

    def _by_document(self) -> dict[int, list[Any]]:
        grouped: dict[int, list[Any]] = {}
        for instance in self._instances:
            grouped.setdefault(instance.doc_id, []).append(instance)
        return {index: sorted(group, key=lambda instance: int(instance.idx)) for index, group in grouped.items()}

    def _scored(self, instances: Mapping[int, list[Any]]) -> dict[str, dict[int, dict[str, Any]]]:
        """Per filter, per document: what the class makes of its answers."""
        asked = [instance for instance in self._instances if instance.doc_id in instances]
        try:
            for ensemble in self._task._filters:  # the reference's own way is over instances that it keeps itself
                ensemble.apply(asked)
        except Exception as error:  # the task's own filters may raise anything
            problem = f"class: its filters: {type(error).__name__}: {error}"
            raise self.spec.document.error(problem, "class") from error
        names = list(asked[0].filtered_resps) if asked else []
        return {name: {i: self._one(name, i, group) for i, group in instances.items()} for name in names}

    def _one(self, filter_name: str, index: int, instances: list[Any]) -> dict[str, Any]:
        document = self._documents[index]
        try:
            return dict(self._task.process_results(document, [i.filtered_resps[filter_name] for i in instances]) or {})
        except Exception as error:  # the task's class may raise anything
            raise explain(self.spec.document, "class", error, document) from error

    def _question(self, index: int, instances: Sequence[Any]) -> Question:
        document = self._documents[index]
        target = self._target(document)
        prompt = str(instances[0].args[0])
        return Question(
            index=index,
            calls=len(instances),
            choices=(),
            gold=target,
            examples="",
            prompt=split(prompt)[1],
            prompt_length=len(prompt),
            document_hash=content_hash(document),
            prompt_hash=content_hash([plain(instance.args) for instance in instances]),
            target_hash=content_hash(target),
        )

    def _target(self, document: Any) -> Any:
        try:
            return self._task.doc_to_target(document)
        except Exception as error:  # the task's class may raise anything
            raise explain(self.spec.document, "class", error, document) from error
