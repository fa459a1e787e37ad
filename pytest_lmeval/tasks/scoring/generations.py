"""Score generated text: compare the answer with the target, or with each of several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pytest_lmeval.tasks.aggregation import is_gap
from pytest_lmeval.tasks.metrics import Metric
from pytest_lmeval.tasks.metrics.comparing import nothing, pair
from pytest_lmeval.tasks.questions import Question


def answer_values(
    question: Question, answer: Any, metrics: Mapping[str, Metric], *, multiple_target: bool
) -> dict[str, tuple[Metric, Any]]:
    """Return the metrics by name with their values; a function may make several metrics of one."""
    # Where only answers are collected, a target that cannot be read as one is no mistake.
    like = None if "bypass" in metrics else answer
    targets = _targets(question, like, multiple_target=multiple_target)
    values: dict[str, tuple[Metric, Any]] = {}
    for metric in metrics.values():
        if metric.compare is None:
            continue
        value = _best(metric, targets, answer) if multiple_target else metric.compare(targets[0], answer)
        if isinstance(value, Mapping):
            values.update((name, (_expanded(metric, name, metrics), part)) for name, part in value.items())
        else:
            values[metric.name] = (metric, value)
    return values


def _expanded(metric: Metric, name: str, metrics: Mapping[str, Metric]) -> Metric:
    """What a function returns beside its own name aggregates as itself, unless the file says otherwise."""
    return metrics.get(name) or replace(metric, name=name)


def _best(metric: Metric, targets: Sequence[Any], answer: Any) -> Any:
    """Score the answer against the target that suits it best; without any target it is wrong.

    The reference makes 1 of every score above 0, which is the same for metrics that are 0 or 1.
    """
    assert metric.compare is not None
    if metric.compare is pair or metric.compare is nothing:
        return metric.compare(list(targets), answer)
    scores = [_own_score(metric.name, metric.compare(target, answer)) for target in targets]
    real = [score for score in scores if not is_gap(score)]
    if not real:
        return None if scores else 0.0
    return max(real) if metric.higher_is_better else min(real)


def _own_score(name: str, score: Any) -> Any:
    score = score[name] if isinstance(score, Mapping) else score
    if not isinstance(score, bool | int | float | None) and not hasattr(score, "dtype"):
        raise TypeError(f"{name}: of several targets the best is taken, which needs numbers; found {score!r}")
    return score


def _targets(question: Question, like: Any, *, multiple_target: bool) -> list[Any]:
    target = question.gold
    if question.choices:
        return [question.choices[i] for i in (target if isinstance(target, list) else [target])]
    if not multiple_target:
        return [_as_answer(target, like)]
    several = list(target) if isinstance(target, list | tuple) else [target]
    return [_as_answer(each, like) for each in several]


def _as_answer(target: Any, answer: Any) -> Any:
    """Give the target the answer's type: a filter may have made a number of the answer, or the target is one."""
    if isinstance(answer, list | None) or type(target) is type(answer):
        return target
    return type(answer)(target)
