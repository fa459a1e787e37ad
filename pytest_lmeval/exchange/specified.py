"""What a log of lm-evaluation-harness means: read by the task's own file, as it is here and today.

A log has a target as text, and knows of a function only that there was one. The file's own fields, applied to the
logged documents, say exactly what they say of today's; whether documents and prompts are today's is seen by their
hashes. What does not show there, how answers are filtered and scored, must stand in the log as it stands in the file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from pytest_lmeval.exchange.readings import LoggedReading, Meaning
from pytest_lmeval.exchange.results import HarnessResults, HarnessTask
from pytest_lmeval.exchange.samples import Sample
from pytest_lmeval.results import MetricValue, TaskSettings
from pytest_lmeval.tasks.aggregating import main_metric
from pytest_lmeval.tasks.generation import effective_kwargs, generation_settings, settings_of
from pytest_lmeval.tasks.metrics import Metric, metrics_of
from pytest_lmeval.tasks.options import EvaluationOptions
from pytest_lmeval.tasks.spec import TaskSpec
from pytest_lmeval.tasks.task_hash import task_hash
from pytest_lmeval.tasks.templates import FieldReader, explain
from pytest_lmeval.tasks.yaml_loader import FunctionReference

#: Stands for the hash of a definition that is known to be another.
OTHER = "another"


class SpecifiedReading:
    """Reads a task by its file and by the options of a run of today."""

    def __init__(self, task: HarnessTask, results: HarnessResults, spec: TaskSpec, options: EvaluationOptions) -> None:
        self._logged = LoggedReading(task, results)
        self._task = task
        self._spec = spec
        self._options = options
        self._metrics = metrics_of(spec)

    @property
    def seed(self) -> int:
        """Today's: what it chose, examples, is in the prompts, and these are compared."""
        return self._options.seed

    @cached_property
    def settings(self) -> TaskSettings:
        """How it was asked; the task's definition is today's where the log does not show another."""
        logged = self._logged.settings
        return replace(
            logged,
            seed=self.seed,
            generation=self._generation(logged.generation),
            task_hash=task_hash(self._spec) if is_defined_so(self._spec, self._task.config) else OTHER,
        )

    @property
    def has_margins(self) -> bool:
        """Whether it chooses by log-probability, and by nothing else."""
        return self._spec.output_type == "multiple_choice" and self._spec.process_results is None

    def metric(self, name: str) -> Metric:
        """Return the file's metric; one that a function reported is as the log has it."""
        return self._metrics.get(name) or self._logged.metric(name)

    def main(self, metrics: Sequence[MetricValue]) -> MetricValue:
        """Choose the metric that the file's gate names first, else as the log is read."""
        return main_metric(self._spec, metrics)

    def meaning(self, sample: Sample) -> Meaning:
        """Read the document's fields as those of a document of today are read. Raises TaskFileError."""
        reader = FieldReader(tuple(sample.document), has_choices=self._spec.doc_to_choice is not None)
        try:
            return self._read(reader, sample)
        except Exception as error:  # a task's own functions may raise anything
            raise explain(self._spec.document, "doc_to_target", error, sample.document) from error

    def _read(self, reader: FieldReader, sample: Sample) -> Meaning:
        spec, document = self._spec, sample.document
        target = reader.target(spec.doc_to_target, document) if spec.doc_to_target is not None else ""
        if str(target) != sample.target:
            # Another target than was logged: taken as it was logged, it will not pass for today's.
            return replace(self._logged.meaning(sample), gold=sample.target)
        if spec.output_type != "multiple_choice":
            return Meaning((), target)
        choices = tuple(reader.choices(spec.doc_to_choice, document))
        text = reader.text(spec.doc_to_text, document)
        return Meaning(choices, text if isinstance(text, int) else target)

    def _generation(self, logged: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        """Today's spelling of the settings, where they mean the same."""
        if logged is None or self._spec.output_type != "generate_until":
            return logged
        ours = effective_kwargs(self._spec, self._options.generation_kwargs)
        try:
            same = settings_of(logged, self.seed) == generation_settings(self._spec, ours, self.seed)
        except (TypeError, ValueError):
            return logged
        return ours if same else logged


def is_defined_so(spec: TaskSpec, config: Mapping[str, Any]) -> bool:
    """Whether a log's configuration has answers filtered and scored as the task's file has; any function is as good."""
    ours = {
        "output_type": spec.output_type,
        "repeats": spec.repeats,
        "metric_list": spec.metric_list,
        "filter_list": spec.filter_list,
        "process_results": spec.process_results,
    }
    defaults = {"repeats": 1}
    return all(_alike(value, config.get(key, defaults.get(key))) for key, value in ours.items())


def _alike(ours: object, theirs: object) -> bool:
    if isinstance(ours, FunctionReference):
        return theirs is not None
    if isinstance(ours, Mapping):
        return (
            isinstance(theirs, Mapping)
            and ours.keys() == theirs.keys()
            and all(_alike(ours[key], theirs[key]) for key in ours)
        )
    if isinstance(ours, list | tuple):
        return (
            isinstance(theirs, list)
            and len(ours) == len(theirs)
            and all(_alike(mine, other) for mine, other in zip(ours, theirs, strict=True))
        )
    return ours == theirs
