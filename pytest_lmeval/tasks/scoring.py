"""Score one document's filtered responses, as the reference does for each output type.

``results`` holds one entry per request of the document: ``(log-probability in nats, is greedy)`` for
log-likelihoods, the log-probability for rolling ones, text (or what the filters made of it) for generations.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pytest_lmeval.tasks.metrics import Metric, exact_match
from pytest_lmeval.tasks.questions import Question, TaskShape
from pytest_lmeval.tasks.spec import TaskSpec
from pytest_lmeval.tasks.templates import call

Document = Mapping[str, Any]
Results = Sequence[Any]

# Out-of-range labels: never the index of a choice, so the document counts as wrong.
_NO_CHOICE = -100


class Scorer:
    """Turns the responses to a question into per-document values by metric name."""

    def __init__(self, spec: TaskSpec, shape: TaskShape, metrics: Mapping[str, Metric]) -> None:
        self._spec = spec
        self._shape = shape
        self._metrics = metrics
        self._by_type = {
            "loglikelihood": self._loglikelihood,
            "loglikelihood_rolling": self._rolling,
            "multiple_choice": self._multiple_choice,
            "generate_until": self._generation,
        }

    def score(self, question: Question, document: Document, results: Results) -> dict[str, Any]:
        """Return metric name to value; a value that is no number is only understood by its aggregation."""
        if self._spec.process_results is not None:
            return dict(call(self._spec.process_results, document, results))
        return self._by_type[self._spec.output_type](question, results)

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
        count = len(question.choices)
        logprobs = np.array([logprob for logprob, _ in results[:count]])
        golds = gold_indices(question)
        octets = np.array([float(len(choice.encode())) for choice in question.choices])
        values: dict[str, Any] = {
            "acc": _hit(logprobs, golds),
            "acc_norm": _hit(per_character(logprobs, question.choices), golds),
            "acc_bytes": _hit(_normalised(logprobs, octets), golds),
            "exact_match": int(any(results[i][1] for i in golds if i != _NO_CHOICE)),
        }
        if self._shape.mutual_info:
            unconditional = np.array([logprob for logprob, _ in results[count:]])
            values["acc_mutual_info"] = _hit(logprobs - unconditional, golds)
        return self._wanted(values)

    def _generation(self, question: Question, results: Results) -> dict[str, Any]:
        answer = results[0]
        golds = self._references(question, answer)
        values: dict[str, Any] = {}
        for name, metric in self._metrics.items():
            scores = [_compare(metric, gold, answer) for gold in golds]
            if self._shape.multiple_target:
                values[name] = 1.0 if any(s[name] if isinstance(s, Mapping) else s for s in scores) else 0.0
            elif isinstance(scores[0], Mapping):
                values.update(scores[0])
            else:
                values[name] = scores[0]
        return values

    def _references(self, question: Question, answer: Any) -> list[Any]:
        gold = question.gold
        if question.choices:
            gold = question.choices[gold]
        elif self._shape.multiple_target:
            return list(gold) if isinstance(gold, list) else [gold]
        elif not isinstance(answer, list | None) and type(gold) is not type(answer):
            # A filter may have made a number of the answer.
            gold = type(answer)(gold)
        return [gold]

    def _wanted(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in values.items() if name in self._metrics}


def gold_indices(question: Question) -> list[int]:
    """Return the indices of the right choices; one that is out of range is replaced by -100."""
    count = len(question.choices)
    gold = question.gold
    if isinstance(gold, str):
        return [question.choices.index(gold) if gold in question.choices else _NO_CHOICE]
    golds = gold if isinstance(gold, list) else [gold]
    return [g if 0 <= g < count else _NO_CHOICE for g in golds]


def margin(question: Question, results: Results, *, by_length: bool) -> float | None:
    """Log-probability of the best gold choice minus that of the best other; None where there is no such pair.

    In nats, or in nats per character of the choice where ``by_length`` is set.
    """
    count = len(question.choices)
    logprobs = np.array([logprob for logprob, _ in results[:count]])
    if by_length:
        logprobs = per_character(logprobs, question.choices)
    golds = [g for g in gold_indices(question) if g != _NO_CHOICE]
    others = [i for i in range(count) if i not in golds]
    if not golds or not others:
        return None
    return float(max(logprobs[golds]) - max(logprobs[others]))


def per_character(logprobs: Any, choices: Sequence[str]) -> Any:
    """Return each log-probability over the length of its choice."""
    return _normalised(np.array(logprobs), np.array([float(len(choice)) for choice in choices]))


def _normalised(logprobs: Any, lengths: Any) -> Any:
    # An empty choice has length 0: its normalised score is minus infinity, not an error, and never the best.
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(lengths > 0, logprobs / lengths, -np.inf)


def _hit(scores: Any, golds: Sequence[int]) -> float:
    return 1.0 if int(np.argmax(scores)) in golds else 0.0


def _compare(metric: Metric, gold: Any, answer: Any) -> Any:
    if metric.function is not None:
        return metric.function(references=[gold], predictions=[answer], **metric.arguments)
    if metric.name == "exact_match":
        # A pipeline that does not end in take_first leaves a list: then it is the share of its answers.
        answers = answer if isinstance(answer, list) else [answer]
        return sum(exact_match(a, gold, **metric.arguments) for a in answers) / len(answers)
    if metric.name == "bypass":
        return 999
    raise TypeError(f"metric {metric.name!r} does not score generated text")
