"""One task of a run of lm-evaluation-harness as a result of ours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pytest_lmeval.errors import RunError
from pytest_lmeval.exchange.items import item_of
from pytest_lmeval.exchange.layout import Output, find_output
from pytest_lmeval.exchange.readings import LoggedReading, Reading
from pytest_lmeval.exchange.results import HarnessResults, HarnessTask, read_results
from pytest_lmeval.exchange.samples import Sample, read_samples
from pytest_lmeval.exchange.scores import metrics_of_log, values_of
from pytest_lmeval.results import ItemResult, MetricValue, TaskResult
from pytest_lmeval.suggestions import suggestion


class HarnessRun:
    """A run of lm-evaluation-harness; of its samples a task's are read at a time."""

    def __init__(self, output: Output, results: HarnessResults) -> None:
        self.output = output
        self.results = results

    @classmethod
    def open(cls, path: Path) -> HarnessRun:
        """Open a results file, or the latest of a folder. Raises RunError."""
        output = find_output(path)
        return cls(output, read_results(output.results))

    @property
    def tasks(self) -> tuple[str, ...]:
        """The names of its tasks, groups apart."""
        return tuple(name for name, task in self.results.tasks.items() if not task.members)

    def task(self, name: str) -> HarnessTask:
        """Return a task or group. Raises RunError, with the names there are."""
        if name not in self.results.tasks:
            raise RunError(f"{self.output.results}: no task {name}.{suggestion(name, self.tasks, 'It has')}")
        return self.results.tasks[name]

    def result(self, name: str, reading: Reading | None = None) -> TaskResult:
        """Read the result of a task, by the settings in the log or by another ``reading``. Raises RunError.

        Without logged samples it has no items.
        """
        task = self.task(name)
        reading = reading or LoggedReading(task, self.results)
        path = self.output.samples.get(name)
        samples = () if path is None else read_samples(path)
        self._check_count(task, samples)
        metrics = metrics_of_log(task, reading, samples)
        if not metrics:
            raise RunError(f"{self.output.results}: {name} has no metric")
        main = reading.main(metrics)
        return TaskResult(
            task=name,
            n=task.n,
            total=task.total,
            metrics=metrics,
            main_metric=main.key,
            items=self._items(path, samples, reading, main),
            settings=reading.settings,
            alias=task.alias,
        )

    def _check_count(self, task: HarnessTask, samples: Sequence[Sample]) -> None:
        if samples and len(samples) != task.n:
            raise RunError(
                f"{self.output.samples[task.name]}: {len(samples):,} documents, and {task.n:,} in "
                f"{self.output.results.name}: they are not of one run"
            )

    def _items(
        self, path: Path | None, samples: Sequence[Sample], reading: Reading, main: MetricValue
    ) -> tuple[ItemResult, ...]:
        items = []
        at = 0
        try:
            choices = max((len(reading.meaning(sample).choices) for sample in samples), default=0)
            values = values_of(samples, reading, choices=choices)
            for sample, one in zip(samples, values, strict=True):
                at = sample.index
                items.append(item_of(sample, reading, main, one))
        except (TypeError, ValueError, IndexError, OverflowError) as error:
            raise RunError(f"{path}: document {at}: not a sample of its task: {error}") from None
        return tuple(items)
