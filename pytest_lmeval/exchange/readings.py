"""What a log of lm-evaluation-harness means: read by the settings that stand in it."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from pytest_lmeval.exchange.results import HarnessResults, HarnessTask
from pytest_lmeval.exchange.samples import Sample
from pytest_lmeval.results import MetricValue, TaskSettings
from pytest_lmeval.tasks.aggregation import AGGREGATIONS, Aggregation
from pytest_lmeval.tasks.metrics import Metric
from pytest_lmeval.tasks.metrics.listed import KNOWN

#: A target's text that is longer is no list of targets.
_LONGEST_LIST = 100_000


@dataclass(frozen=True, slots=True)
class Meaning:
    """A document's choices, empty where there are none, and what its target resolves to; None: it cannot be known."""

    choices: tuple[str, ...]
    gold: Any


class Reading(Protocol):
    """Knows what the log of one task does not say outright."""

    @property
    def seed(self) -> int:
        """The seed that is hashed with what is sampled."""

    @property
    def settings(self) -> TaskSettings:
        """How the task was asked."""

    @property
    def has_margins(self) -> bool:
        """Whether it chooses by log-probability, and by nothing else."""

    def metric(self, name: str) -> Metric:
        """Return how a metric is made of its documents' values."""

    def main(self, metrics: Sequence[MetricValue]) -> MetricValue:
        """Choose the metric that the task is judged by."""

    def meaning(self, sample: Sample) -> Meaning:
        """Return choices and target of a document."""


class LoggedReading:
    """Reads a task by its configuration in the results file, as far as that goes: functions are only their source."""

    def __init__(self, task: HarnessTask, results: HarnessResults) -> None:
        self._task = task
        self._results = results
        self._config = task.config
        entries = task.config.get("metric_list")
        listed = [entry for entry in entries if isinstance(entry, Mapping)] if isinstance(entries, list) else []
        self._entries = {str(entry.get("metric")): entry for entry in listed}

    @property
    def seed(self) -> int:
        """The seed of few-shot draws, which stands for all."""
        return self._results.seed

    @property
    def output_type(self) -> str:
        """What kind of answer is asked for: ``multiple_choice``, ``generate_until`` and so on."""
        return str(self._config.get("output_type", ""))

    @cached_property
    def settings(self) -> TaskSettings:
        """How the task was asked. The hash of its definition is not known from here: it is left empty."""
        config, generates = self._config, self.output_type == "generate_until"
        generation = config.get("generation_kwargs")
        name = config.get("dataset_name")
        return TaskSettings(
            dataset=str(config.get("dataset_path") or "custom"),
            dataset_config=None if name is None else str(name),
            split=str(config.get("test_split") or config.get("validation_split") or ""),
            num_fewshot=self._task.num_fewshot,
            seed=self.seed,
            limit=self._results.limit,
            output_type=self.output_type,
            generation=generation if generates and isinstance(generation, Mapping) else None,
            task_hash="",
            version=self._task.version,
        )

    @property
    def has_margins(self) -> bool:
        """Whether it chooses by log-probability, and by nothing else."""
        return self.output_type == "multiple_choice" and self._config.get("process_results") is None

    def metric(self, name: str) -> Metric:
        """Return the metric by the task's list of them, as a mean where that says nothing."""
        given = self._entries.get(name, {}).get("aggregation") or KNOWN.get(name, ("mean",))[0]
        known = AGGREGATIONS.get(given) if isinstance(given, str) else None
        better = self._task.higher_is_better.get(name, KNOWN.get(name, ("", True))[1])
        return Metric(name, known or Aggregation("custom", _unknown, custom=True), better)

    def main(self, metrics: Sequence[MetricValue]) -> MetricValue:
        """Choose as for a task without a gate: what the field quotes, else the first."""
        by_key = {metric.key: metric for metric in metrics}
        return next((by_key[key] for key in ("acc_norm", "acc") if key in by_key), metrics[0])

    def meaning(self, sample: Sample) -> Meaning:
        """Take the choices from what was asked, and the target from the document's column or from its text."""
        if self.output_type != "multiple_choice":
            return Meaning((), self._target(sample))
        calls = self._choice_calls(sample)
        if len({context for context, _ in calls}) == 1:
            return Meaning(tuple(self._without_delimiter(rest) for _, rest in calls), self._target(sample))
        # Each choice is a context of its own; which is right says doc_to_text.
        shared = _common([context for context, _ in calls])
        gold = _column(self._config.get("doc_to_text"), sample)
        return Meaning(tuple(context[shared:] for context, _ in calls), gold if isinstance(gold, int) else None)

    def _choice_calls(self, sample: Sample) -> list[tuple[str, str]]:
        calls = [(str(call[0]), str(call[1])) for call in sample.calls if len(call) > 1]
        # acc_mutual_info asks each choice again, without a context.
        return calls[: len(calls) // 2] if "acc_mutual_info" in self._entries else calls

    def _without_delimiter(self, continuation: str) -> str:
        delimiter = self._config.get("target_delimiter")
        return continuation.removeprefix(delimiter) if isinstance(delimiter, str) else continuation

    def _target(self, sample: Sample) -> Any:
        """Undo that a log has targets as text, by the rules that made the target of a template."""
        field = self._config.get("doc_to_target")
        value = field if isinstance(field, int | list) else _column(field, sample)
        if value is not None and str(value) == sample.target:
            return value
        if sample.target.isdecimal() and self._config.get("doc_to_choice") is not None:
            return int(sample.target)
        return _listed(sample.target)


def _common(texts: Sequence[str]) -> int:
    """Count the characters with which all texts begin."""
    columns = enumerate(zip(*texts, strict=False))
    return next((at for at, column in columns if len(set(column)) > 1), min(map(len, texts), default=0))


def _column(field: object, sample: Sample) -> Any:
    return sample.document.get(field) if isinstance(field, str) else None


def _listed(text: str) -> Any:
    if not (text.startswith("[") and text.endswith("]")) or len(text) > _LONGEST_LIST:
        return text
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return text


def _unknown(values: Sequence[Any]) -> float:
    raise NotImplementedError("what the task's own aggregation does is not known from a log")
