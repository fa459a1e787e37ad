"""Scores that somebody published, without documents: a small file, YAML or JSON, written by hand.

source: "model card of X, 2026-08"
scores:
rivers: {acc_norm: 0.62}
sums: {"exact_match,strict-match": {value: 0.71, n: 1319, stderr: 0.0125}}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_lmeval.baselines.hand_written import read_mapping
from pytest_lmeval.baselines.record import Baseline, digests
from pytest_lmeval.errors import BaselineError
from pytest_lmeval.results import MetricValue, TaskSettings, metric_key
from pytest_lmeval.suggestions import suggestion

_LONGEST_SOURCE = 300
_LARGEST = 1e300
_ENTRY = ("value", "n", "stderr")
_EXAMPLE = "a number, or a mapping with value, n and stderr"


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedScore:
    """A metric's published ``value`` and ``stderr``, in its own unit, over ``n`` documents; None what is not known."""

    value: float
    n: int | None = None
    stderr: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedScores:
    """What was published of one task: ``metrics`` by key (``acc_norm``, ``exact_match,strict-match``)."""

    task: str
    source: str
    metrics: Mapping[str, PublishedScore]

    def as_baseline(self) -> Baseline:
        """Give the form in which a comparison takes it.

        ``published`` names the source; there are no items, and of the settings nothing is known. ``n`` is 0 and
        ``stderr`` None where the file does not say; ``higher_is_better`` is meaningless, the task knows better.
        """
        metrics = tuple(_metric(key, score) for key, score in self.metrics.items())
        count = max(metric.n for metric in metrics)
        return Baseline(
            task=self.task,
            created="",
            n=count,
            total=count,
            main_metric=metrics[0].key,
            metrics=metrics,
            settings=_UNKNOWN,
            items=(),
            digests=digests(()),
            members=(),
            model={},
            environment={},
            published=self.source,
        )


_UNKNOWN = TaskSettings(
    dataset="",
    dataset_config=None,
    split="",
    num_fewshot=0,
    seed=0,
    limit=None,
    output_type="",
    generation=None,
    task_hash="",
)


def read_published(path: Path) -> Mapping[str, PublishedScores]:
    """Read the file's scores by task. Raises BaselineError, saying where in the file what was expected."""
    data = read_mapping(path)
    place = _Place(path)
    place.known(data, ("source", "scores"))
    source = _source(data.get("source"), place.below("source"))
    scores = place.below("scores")
    tasks = scores.mapping(data.get("scores"), "tasks with their metrics, as in rivers: {acc: 0.62}")
    return {task: _scores(task, source, metrics, scores.below(task)) for task, metrics in tasks.items()}


def missing_task(task: str, path: Path, published: Mapping[str, PublishedScores]) -> str:
    """Say that the file lacks a task, with the name that was perhaps meant."""
    return f"{path.name} has no scores for {task}.{suggestion(task, published, 'It has')}"


class _Place:
    """Where in the file something stands, for errors about it."""

    def __init__(self, path: Path, *keys: str) -> None:
        self._path = path
        self._keys = keys

    def below(self, key: str) -> _Place:
        return _Place(self._path, *self._keys, key)

    def error(self, problem: str) -> BaselineError:
        place = ".".join(key if key.isprintable() else repr(key) for key in self._keys)
        return BaselineError(f"{self._path}: {place}: {problem}" if place else f"{self._path}: {problem}")

    def mapping(self, value: object, expected: str) -> Mapping[str, Any]:
        if not isinstance(value, Mapping) or not value:
            raise self.error(f"expected {expected}, found {_found(value)}")
        return value

    def known(self, data: Mapping[str, Any], keys: tuple[str, ...]) -> None:
        for key in data:
            if key not in keys:
                raise self.error(f"unknown key {key!r}.{suggestion(key, keys, 'Known')}")

    def number(self, value: object, expected: str) -> float:
        # A whole number may be too large for a float: no score is.
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _LARGEST:
            raise self.error(f"expected {expected}, found {_found(value)}")
        return float(value)


def _source(value: object, place: _Place) -> str:
    if not isinstance(value, str) or not value.strip():
        raise place.error(f'expected where the scores come from, as in "model card of X", found {_found(value)}')
    if len(value) > _LONGEST_SOURCE or not value.isprintable():
        raise place.error(f"expected one line of at most {_LONGEST_SOURCE} characters")
    return value.strip()


def _scores(task: str, source: str, metrics: object, place: _Place) -> PublishedScores:
    found: dict[str, PublishedScore] = {}
    for given, value in place.mapping(metrics, "metrics with their scores, as in {acc: 0.62}").items():
        key = metric_key(*_split(given))
        if key in found:
            raise place.below(given).error(f"{key} is given twice")
        found[key] = _score(value, place.below(given))
    return PublishedScores(task=task, source=source, metrics=found)


def _score(value: object, place: _Place) -> PublishedScore:
    if not isinstance(value, Mapping):
        return PublishedScore(value=place.number(value, _EXAMPLE))
    place.known(value, _ENTRY)
    n, stderr = value.get("n"), value.get("stderr")
    return PublishedScore(
        value=place.below("value").number(value.get("value"), "a number"),
        n=None if n is None else _count(n, place.below("n")),
        stderr=None if stderr is None else _stderr(stderr, place.below("stderr")),
    )


def _count(value: object, place: _Place) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 10**10:
        raise place.error(f"expected how many documents the score is over, found {_found(value)}")
    return value


def _stderr(value: object, place: _Place) -> float:
    number = place.number(value, "a standard error")
    if number < 0:
        raise place.error(f"expected a standard error, found {_found(value)}")
    return number


def _metric(key: str, score: PublishedScore) -> MetricValue:
    name, filter_name = _split(key)
    return MetricValue(
        name=name,
        filter=filter_name,
        value=score.value,
        stderr=score.stderr,
        higher_is_better=True,
        n=score.n or 0,
    )


def _split(key: str) -> tuple[str, str]:
    name, _, filter_name = key.partition(",")
    return name.strip(), filter_name.strip() or "none"


def _found(value: object) -> str:
    """Show a value from the file, bounded: it may be long, or a number too large to print."""
    if value is None:
        return "nothing"
    if isinstance(value, dict | list):
        return f"a {'mapping' if isinstance(value, dict) else 'list'} of {len(value)}"
    if isinstance(value, int) and value.bit_length() > 64:
        return "a number that is too large"
    text = repr(value) if isinstance(value, str | int | float) else f"a {type(value).__name__}"
    return text if len(text) <= 60 else f"{text[:57]}..."
