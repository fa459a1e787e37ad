"""A baseline: what one run of one task answered, in as much detail as a later run is compared with."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from pytest_lmeval.baselines.codec import ItemKey, item_key, margin_code, margin_of, round_value
from pytest_lmeval.baselines.plain import plain
from pytest_lmeval.results import ItemResult, MetricValue, TaskResult, TaskSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineItem:
    """One document of the recorded run.

    ``index`` is its position in the split, ``key`` its content in brief. ``margin`` (nats) is quantised to one
    byte, ``scores`` are exact where they are 0 or 1 and else rounded to six significant digits.
    """

    index: int
    key: ItemKey
    margin: float | None
    scores: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Digests:
    """SHA-256 in hex over all documents, prompts and targets of the run, whatever their order."""

    documents: str
    prompts: str
    targets: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """What a run of a task answered and where it came from.

    ``model`` holds the fields of ModelInfo, ``environment`` package versions, python and platform, ``created``
    a date in ISO 8601; all three are for people, nothing is decided by them.
    """

    task: str
    created: str
    n: int
    total: int
    main_metric: str
    metrics: tuple[MetricValue, ...]
    settings: TaskSettings
    items: tuple[BaselineItem, ...]
    digests: Digests
    members: tuple[str, ...]
    model: Mapping[str, Any]
    environment: Mapping[str, Any]

    def metric(self, key: str) -> MetricValue | None:
        """Find a metric by its exact key."""
        return next((metric for metric in self.metrics if metric.key == key), None)


def from_result(result: TaskResult, model: Mapping[str, Any], environment: Mapping[str, Any], created: str) -> Baseline:
    """Reduce a result to its baseline; writing it to a file and reading it back changes nothing more."""
    items = sorted(result.items, key=lambda item: item.index)
    return Baseline(
        task=result.task,
        created=created,
        n=result.n,
        total=result.total,
        main_metric=result.main_metric,
        metrics=result.metrics,
        settings=plain_settings(result.settings),
        items=tuple(map(_baseline_item, items)),
        digests=digests(result.items),
        members=result.members,
        model=plain(model),
        environment=plain(environment),
    )


def plain_settings(settings: TaskSettings) -> TaskSettings:
    """Reduce the generation settings to what a file can hold: tuples become lists."""
    fields = {name: getattr(settings, name) for name in TaskSettings.__dataclass_fields__}
    return TaskSettings(**{**fields, "generation": plain(settings.generation)})


def digests(items: Iterable[ItemResult]) -> Digests:
    """Digest what was asked.

    The hashes are sorted first: a data set in another order is the same data set, items are paired by content.
    """
    kept = tuple(items)
    return Digests(
        documents=_digest(item.document_hash for item in kept),
        prompts=_digest(item.prompt_hash for item in kept),
        targets=_digest(item.target_hash for item in kept),
    )


def _digest(hashes: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(sorted(hashes)).encode()).hexdigest()


def _baseline_item(item: ItemResult) -> BaselineItem:
    scores = {key: _score(item.scores[key]) for key in sorted(item.scores)}
    return BaselineItem(
        index=item.index,
        key=item_key(item),
        margin=margin_of(margin_code(item.margin)),
        scores=MappingProxyType(scores),
    )


def _score(value: float) -> float:
    return round_value(value) if math.isfinite(value) else float(value)
