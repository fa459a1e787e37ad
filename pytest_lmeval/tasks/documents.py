"""The documents of a task: the evaluated split and the pool of few-shot examples, processed once and frozen.

lm-evaluation-harness runs ``process_docs`` again each time a split is asked for; a task that shuffles in it is
then scored against other choices than were asked. Here each split is processed once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_lmeval.errors import DatasetError
from pytest_lmeval.tasks.datasets import TaskDatasets, without_progress_bars
from pytest_lmeval.tasks.spec import TaskSpec
from pytest_lmeval.tasks.templates import call_for
from pytest_lmeval.tasks.yaml_loader import FunctionReference


@dataclass(frozen=True, slots=True)
class Documents:
    """``rows`` of the evaluated split, read by index; ``columns`` their names."""

    rows: Sequence[Mapping[str, Any]]
    columns: tuple[str, ...]


class DocumentStore:
    """Reads and processes a task's splits, each once."""

    def __init__(self, spec: TaskSpec, datasets: TaskDatasets) -> None:
        self._spec = spec
        self._datasets = datasets
        self._processed: dict[tuple[str, FunctionReference | None], Any] = {}

    def evaluated(self) -> Documents:
        """Return the evaluated split. Raises DatasetError where it has no documents."""
        split = self._spec.evaluated_split
        rows = self._process(split, self._spec.process_docs)
        if len(rows) == 0:
            raise DatasetError(f"{self._spec.task}: split {split!r} has no documents")
        columns = getattr(rows, "column_names", None) or list(rows[0])
        return Documents(rows, tuple(columns))

    def fewshot_pool(self) -> Sequence[Mapping[str, Any]]:
        """Return the documents that examples are drawn from, by the format's order of preference.

        Where they are the evaluated ones, it is the same object as their rows. They are not copied: a training
        split may have hundreds of thousands of documents, of which a few are drawn.
        """
        fewshot = self._spec.fewshot_config
        if fewshot.split is not None:
            return self._rows(fewshot.split, fewshot.process_docs)
        if fewshot.samples is not None:
            samples = fewshot.samples
            if isinstance(samples, FunctionReference):
                samples = call_for(self._spec.document, "fewshot_config", samples)
            return list(samples)
        spec = self._spec
        for split in (spec.training_split, spec.validation_split, spec.test_split):
            if split is not None:
                return self._rows(split, spec.process_docs)
        return []

    def _rows(self, split: str, function: FunctionReference | None) -> Sequence[Mapping[str, Any]]:
        rows: Sequence[Mapping[str, Any]] = self._process(split, function)
        return rows

    def _process(self, split: str, function: FunctionReference | None) -> Any:
        key = (split, function)
        if key not in self._processed:
            rows = self._datasets.split(split)
            self._processed[key] = rows if function is None else self._call(function, rows)
        return self._processed[key]

    def _call(self, function: FunctionReference, rows: Any) -> Any:
        document = self._spec.document
        with without_progress_bars():
            processed = call_for(document, "process_docs", function, rows)
        if not hasattr(processed, "__len__"):
            found = type(processed).__name__
            raise document.error(f"process_docs: {function} returned no documents but {found}", "process_docs")
        return processed
