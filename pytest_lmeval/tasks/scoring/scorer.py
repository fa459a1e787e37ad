"""Score one document's filtered responses, as the reference does for each output type.

``results`` holds one entry per request of the document: ``(log-probability in nats, is greedy)`` for
log-likelihoods, the log-probability for rolling ones, text (or what the filters made of it) for generations.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pytest_lmeval.tasks.aggregation import AGGREGATIONS
from pytest_lmeval.tasks.metrics import Metric
from pytest_lmeval.tasks.questions import Question, TaskShape
from pytest_lmeval.tasks.scoring.choices import Results, choice_values
from pytest_lmeval.tasks.scoring.generations import answer_values
from pytest_lmeval.tasks.spec import TaskSpec
from pytest_lmeval.tasks.templates import call

Document = Mapping[str, Any]


class Scorer:
    """Turns the responses to a question into per-document values by metric name."""

    def __init__(self, spec: TaskSpec, shape: TaskShape, metrics: Mapping[str, Metric]) -> None:
        self._spec = spec
        self._shape = shape
        self._metrics = metrics
        self._found: dict[str, Metric] = {}
        self._by_type = {
            "loglikelihood": self._loglikelihood,
            "loglikelihood_rolling": self._rolling,
            "multiple_choice": self._multiple_choice,
            "generate_until": self._generation,
        }

    def metric(self, name: str) -> Metric:
        """Return the metric a value belongs to: a function may report others than the file lists.

        These aggregate as the metric whose function returned them, those of ``process_results`` as a mean.
        """
        listed = self._metrics.get(name) or self._found.get(name)
        return listed or Metric(name=name, aggregation=AGGREGATIONS["mean"], higher_is_better=True)

    def score(self, question: Question, document: Document, results: Results) -> dict[str, Any]:
        """Return metric name to value; a value that is no number is only understood by its aggregation.

        ``process_results`` may return nothing (None or an empty mapping): the document is then not scored.
        """
        if self._spec.process_results is None:
            return self._by_type[self._spec.output_type](question, results)
        values = call(self._spec.process_results, document, results)
        if not isinstance(values, Mapping | None):
            raise TypeError(f"expected a mapping of metrics to values, found {type(values).__name__} {values!r}")
        return dict(values or {})

    def _loglikelihood(self, question: Question, results: Results) -> dict[str, Any]:
        logprob, is_greedy = results[0]
        return self._wanted({"perplexity": logprob, "acc": int(is_greedy)})

    def _rolling(self, question: Question, results: Results) -> dict[str, Any]:
        (logprob,) = results
        words = len(re.split(r"\s+", question.gold))
        size = len(question.gold.encode())
        return self._wanted(
            {
                "word_perplexity": (logprob, words),
                "byte_perplexity": (logprob, size),
                "bits_per_byte": (logprob, size),
            }
        )

    def _multiple_choice(self, question: Question, results: Results) -> dict[str, Any]:
        return self._wanted(choice_values(question, results, mutual_info=self._shape.mutual_info))

    def _generation(self, question: Question, results: Results) -> dict[str, Any]:
        found = answer_values(question, results[0], self._metrics, multiple_target=self._shape.multiple_target)
        self._found.update((name, metric) for name, (metric, _) in found.items())
        return {name: value for name, (_, value) in found.items()}

    def _wanted(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in values.items() if name in self._metrics}
