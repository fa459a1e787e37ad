"""One task as lm-evaluation-harness builds and scores it, on rows that are given."""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import datasets
import numpy as np
from lm_eval.api.metrics import mean, mean_stderr
from lm_eval.api.task import ConfigurableTask
from lm_eval.models.utils import normalize_gen_kwargs
from lm_eval.tasks._yaml_loader import load_yaml

SEED = 1234
_NOT_OF_A_TASK = ("tag", "group", "task_list")


def load_config(path: Path) -> dict[str, Any]:
    """Read a task file with lm-eval's own reader, functions resolved."""
    config = load_yaml(path, resolve_func=True)
    return {key: value for key, value in config.items() if key not in _NOT_OF_A_TASK}


class Reference:
    """A built task. Raises whatever lm-eval and the task's own code raise."""

    def __init__(self, config: Mapping[str, Any], rows: Mapping[str, Any], seed: int = SEED) -> None:
        self._seed = seed
        with given_rows(rows):
            self.task = _made(dict(config), seed)
        self.own_num_fewshot: int = self.task.config.num_fewshot or 0
        self.locked = self.task.config.num_fewshot == 0
        self._built: dict[int, tuple[list[tuple[Any, ...]], Any]] = {}
        self._leaked: dict[int, set[int]] = {}

    def requests(self, num_fewshot: int) -> list[tuple[Any, ...]]:
        """The arguments of every request, in the order of the documents; those asked for last are scored."""
        if num_fewshot not in self._built:
            self._built[num_fewshot] = self._build(num_fewshot), self.task.instances
        requests, self.task._instances = self._built[num_fewshot]
        return requests

    def _build(self, num_fewshot: int) -> list[tuple[Any, ...]]:
        task = self.task
        task.set_config("num_fewshot", num_fewshot)
        task.set_fewshot_seed(seed=SEED)
        seed_everything(self._seed)
        with self._examples() as drawn:
            task.build_all_requests(limit=None)
        # A class may ask several operations of a document; they are sent one operation after the other.
        operations = list(dict.fromkeys(instance.request_type for instance in task.instances))
        task.instances.sort(key=lambda instance: operations.index(instance.request_type))
        documents = list(dict.fromkeys(instance.doc_id for instance in task.instances))
        rows = {instance.doc_id: instance.doc for instance in task.instances}
        pairs = zip(documents, drawn, strict=False)
        self._leaked[num_fewshot] = {number for number, shots in pairs if rows[number] in shots}
        return [_comparable(instance.args) for instance in task.instances for _ in range(instance.repeats or 1)]

    @contextmanager
    def _examples(self) -> Iterator[list[Sequence[Any]]]:
        """What the sampler draws, document after document."""
        drawn: list[Sequence[Any]] = []
        sampler = getattr(self.task, "sampler", None)
        if sampler is None:
            yield drawn
            return
        original = sampler.sample

        def sample(*arguments: Any, **named: Any) -> Any:
            drawn.append(original(*arguments, **named))
            return drawn[-1]

        with mock.patch.object(sampler, "sample", sample):
            yield drawn

    def leaked(self, num_fewshot: int) -> set[int]:
        """Places, among the requests, of documents that lm-eval shows as their own example with the answer."""
        requests = [i.doc_id for i in self.task.instances for _ in range(i.repeats or 1)]
        return {place for place, number in enumerate(requests) if number in self._leaked[num_fewshot]}

    def asked(self) -> list[tuple[str, Mapping[str, Any], Any]]:
        """Operation, document and target of every request, as :meth:`requests` counts them."""
        task = self.task
        return [
            (i.request_type, i.doc, task.doc_to_target(i.doc)) for i in task.instances for _ in range(i.repeats or 1)
        ]

    def metrics(self, answers: Sequence[Any]) -> dict[str, tuple[float, float | None]]:
        """Value and standard error by ``metric,filter``. The error is given for means alone."""
        remaining = iter(answers)
        for instance in self.task.instances:
            instance.resps = [next(remaining) for _ in range(instance.repeats or 1)]
            instance.filtered_resps = {}
        self.task.apply_filters()
        return {key: self._aggregated(key[0], values) for key, values in self._values().items()}  # type: ignore[misc]

    def _values(self) -> dict[tuple[str, str], list[Any]]:
        task = self.task
        by_document: dict[int, list[Any]] = {}
        for instance in task.instances:
            by_document.setdefault(instance.doc_id, []).append(instance)
        values: dict[tuple[str, str], list[Any]] = {}
        for name in task.instances[0].filtered_resps:
            for number, document in enumerate(task.eval_docs):
                seed_everything()
                instances = sorted(by_document[number], key=lambda i: i.idx)
                scores = task.process_results(document, [i.filtered_resps[name] for i in instances])
                for metric, value in scores.items():
                    values.setdefault((metric, name), []).append(value)
        return values

    def _aggregated(self, metric: str, values: list[Any]) -> tuple[Any, float | None]:
        aggregation = self.task.aggregation().get(metric, mean)
        seed_everything()
        stderr = mean_stderr(values) if aggregation is mean and len(values) > 1 else None
        return aggregation(values), stderr


def _comparable(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(arguments) < 2 or not isinstance(arguments[1], dict):
        return arguments
    settings = dict(normalize_gen_kwargs(arguments[1]))
    until, length = settings.pop("until"), settings.pop("max_gen_toks")
    sampled = bool(settings.pop("do_sample", False)) and settings.get("temperature", 1.0) != 0
    return (arguments[0], tuple(until), length, sampled, *arguments[2:])


def seed_everything(seed: int = SEED) -> None:
    """Tasks that draw from the global generators meet them in the same state on both sides."""
    random.seed(seed)
    np.random.seed(seed)


def reseed(function: Callable[..., Any], seed: int = SEED) -> None:
    """Start the generators over, those that the function's module holds too."""
    seed_everything(seed)
    for value in getattr(function, "__globals__", {}).values():
        if isinstance(value, random.Random):
            value.seed(seed)


def _made(config: dict[str, Any], seed: int) -> Any:
    """A task of a file, or of the class that the file names."""
    if "class" not in config:
        return ConfigurableTask(config=_frozen(config, seed))
    made = config["class"]
    task = made(config=config) if "config" in inspect.signature(made.__init__).parameters else made()
    task.config.task = config["task"]
    return task


def _frozen(config: dict[str, Any], seed: int) -> dict[str, Any]:
    """Run each ``process_docs`` once per split; lm-eval runs it again at each use, and a shuffle differs then."""
    if callable(config.get("process_docs")):
        config["process_docs"] = _once(config["process_docs"], seed)
    fewshot = config.get("fewshot_config")
    if isinstance(fewshot, Mapping) and callable(fewshot.get("process_docs")):
        config["fewshot_config"] = {**fewshot, "process_docs": _once(fewshot["process_docs"], seed)}
    return config


def _once(function: Callable[[Any], Any], seed: int) -> Callable[[Any], Any]:
    processed: dict[int, tuple[Any, Any]] = {}

    def process(rows: Any) -> Any:
        if id(rows) not in processed:
            reseed(function, seed)
            # The rows are kept as well: an id is only unique among what is alive.
            processed[id(rows)] = (rows, function(rows))
        return processed[id(rows)][1]

    return process


@contextmanager
def given_rows(rows: Mapping[str, Any]) -> Iterator[None]:
    """Whatever dataset is asked for, these rows are it: a ``datasets.Dataset`` per split."""
    splits = datasets.DatasetDict(rows)

    def load(*_: Any, split: str | None = None, **__: Any) -> Any:
        return splits if split is None else splits.get(split, next(iter(splits.values())))

    with mock.patch.object(datasets, "load_dataset", load):
        yield
