"""What ``lm_evaluate`` returns: numbers that can be compared, and that explain themselves in a failed assert."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pytest_lmeval.gate.numbers import format_value
from pytest_lmeval.results import MetricValue, TaskResult


class Score(float):
    """A metric's value. It is a float; its repr shows name, standard error and number of documents."""

    def __new__(cls, task: str, metric: MetricValue) -> Score:
        """Wrap a metric of a task."""
        score = super().__new__(cls, metric.value)
        score._task, score._metric = task, metric
        return score

    _task: str
    _metric: MetricValue

    @property
    def stderr(self) -> float | None:
        """Standard error in the metric's unit, None where there is no estimate."""
        return self._metric.stderr

    @property
    def n(self) -> int:
        """Number of documents."""
        return self._metric.n

    def __repr__(self) -> str:
        metric = self._metric
        stderr = "" if metric.stderr is None else f" ± {format_value(metric.stderr, like=metric.value)}"
        return f"{self._task} {metric.key} = {format_value(metric.value)}{stderr} (n={metric.n:,})"

    def __getnewargs__(self) -> tuple[str, MetricValue]:  # type: ignore[override]
        """For copy and pickle."""
        return self._task, self._metric


class EvaluationResult(Mapping[str, Score]):
    """Scores by metric, as in ``result["exact_match,strict-match"]``; ``task_result`` has the rest."""

    def __init__(self, result: TaskResult) -> None:
        self.task_result = result

    def __getitem__(self, key: str) -> Score:
        __tracebackhide__ = True
        try:
            return Score(self.task_result.task, self.task_result.metric(key))
        except KeyError as error:
            raise KeyError(*error.args) from None

    def __iter__(self) -> Iterator[str]:
        return iter([metric.key for metric in self.task_result.metrics])

    def __len__(self) -> int:
        return len(self.task_result.metrics)

    def __repr__(self) -> str:
        return f"<{', '.join(repr(score) for score in self.values())}>"
