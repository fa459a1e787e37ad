"""Score multiple choice: which choice has the most log-probability, and is it the right one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pytest_lmeval.tasks.questions import Question

Results = Sequence[Any]

# Out-of-range labels: never the index of a choice, so the document counts as wrong.
NO_CHOICE = -100


def choice_values(question: Question, results: Results, *, mutual_info: bool) -> dict[str, Any]:
    """Return every metric's value; of f1 and mcc it is (gold, chosen), of brier_score (gold, probabilities)."""
    count = len(question.choices)
    logprobs = np.array([logprob for logprob, _ in results[:count]])
    golds = gold_indices(question)
    gold = golds if isinstance(question.gold, list) else golds[0]
    best = int(np.argmax(logprobs))
    values: dict[str, Any] = {
        "acc": _hit(logprobs, golds),
        "acc_norm": _hit(compared(question, results, "acc_norm"), golds),
        "acc_bytes": _hit(compared(question, results, "acc_bytes"), golds),
        "exact_match": int(any(results[i][1] for i in golds if i != NO_CHOICE)),
        "f1": (gold, best),
        "mcc": (gold, best),
        "brier_score": (gold, _softmax(logprobs)),
        "likelihood": (gold, tuple(logprobs.tolist())),
    }
    if mutual_info:
        values["acc_mutual_info"] = _hit(compared(question, results, "acc_mutual_info"), golds)
    return values


def compared(question: Question, results: Results, metric: str) -> Any:
    """Return what ``metric`` chooses the best of, shape (choices,).

    Log-probabilities in nats; for ``acc_norm`` per character, for ``acc_bytes`` per byte of the choice, and for
    ``acc_mutual_info`` less those without a context, where these were asked for.
    """
    count = len(question.choices)
    logprobs = np.array([logprob for logprob, _ in results[:count]])
    if metric == "acc_norm":
        return _normalised(logprobs, np.array([float(len(choice)) for choice in question.choices]))
    if metric == "acc_bytes":
        return _normalised(logprobs, np.array([float(len(choice.encode())) for choice in question.choices]))
    if metric == "acc_mutual_info" and len(results) == 2 * count:
        return logprobs - np.array([logprob for logprob, _ in results[count:]])
    return logprobs


def chosen(question: Question, results: Results, metric: str) -> int:
    """Return the index of the choice that ``metric`` takes for the model's; of equals the first."""
    return int(np.argmax(compared(question, results, metric)))


def gold_indices(question: Question) -> list[int]:
    """Return the indices of the right choices; one that is out of range is replaced by -100."""
    golds = question.gold if isinstance(question.gold, list) else [question.gold]
    return [_index(gold, question.choices) for gold in golds]


def _index(gold: Any, choices: Sequence[str]) -> int:
    if isinstance(gold, str):
        return choices.index(gold) if gold in choices else NO_CHOICE
    return gold if 0 <= gold < len(choices) else NO_CHOICE


def margin(question: Question, results: Results, metric: str) -> float | None:
    """What ``metric`` compares, of the best gold choice minus of the best other; None where there is no such pair.

    In nats, or in nats per character or byte where the metric divides by the choice's length.
    """
    values = compared(question, results, metric)
    golds = [g for g in gold_indices(question) if g != NO_CHOICE]
    others = [i for i in range(len(values)) if i not in golds]
    if not golds or not others:
        return None
    return float(max(values[golds]) - max(values[others]))


def _normalised(logprobs: Any, lengths: Any) -> Any:
    # An empty choice has length 0: its normalised score is minus infinity, not an error, and never the best.
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(lengths > 0, logprobs / lengths, -np.inf)


def _softmax(logprobs: Any) -> Any:
    weights = np.exp(logprobs - np.max(logprobs))
    return weights / weights.sum()


def _hit(scores: Any, golds: Sequence[int]) -> float:
    return 1.0 if int(np.argmax(scores)) in golds else 0.0
