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
    chosen = int(np.argmax(logprobs))
    octets = np.array([float(len(choice.encode())) for choice in question.choices])
    values: dict[str, Any] = {
        "acc": _hit(logprobs, golds),
        "acc_norm": _hit(per_character(logprobs, question.choices), golds),
        "acc_bytes": _hit(_normalised(logprobs, octets), golds),
        "exact_match": int(any(results[i][1] for i in golds if i != NO_CHOICE)),
        "f1": (gold, chosen),
        "mcc": (gold, chosen),
        "brier_score": (gold, _softmax(logprobs)),
        "likelihood": (gold, tuple(logprobs.tolist())),
    }
    if mutual_info:
        unconditional = np.array([logprob for logprob, _ in results[count:]])
        values["acc_mutual_info"] = _hit(logprobs - unconditional, golds)
    return values


def gold_indices(question: Question) -> list[int]:
    """Return the indices of the right choices; one that is out of range is replaced by -100."""
    golds = question.gold if isinstance(question.gold, list) else [question.gold]
    return [_index(gold, question.choices) for gold in golds]


def _index(gold: Any, choices: Sequence[str]) -> int:
    if isinstance(gold, str):
        return choices.index(gold) if gold in choices else NO_CHOICE
    return gold if 0 <= gold < len(choices) else NO_CHOICE


def margin(question: Question, results: Results, *, by_length: bool) -> float | None:
    """Log-probability of the best gold choice minus that of the best other; None where there is no such pair.

    In nats, or in nats per character of the choice where ``by_length`` is set.
    """
    count = len(question.choices)
    logprobs = np.array([logprob for logprob, _ in results[:count]])
    if by_length:
        logprobs = per_character(logprobs, question.choices)
    golds = [g for g in gold_indices(question) if g != NO_CHOICE]
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


def _softmax(logprobs: Any) -> Any:
    weights = np.exp(logprobs - np.max(logprobs))
    return weights / weights.sum()


def _hit(scores: Any, golds: Sequence[int]) -> float:
    return 1.0 if int(np.argmax(scores)) in golds else 0.0
