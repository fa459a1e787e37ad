"""A baseline: what one run of one task answered, in as much detail as a later run is compared with."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from pytest_lmeval.baselines.codec import ItemKey, item_key, margin_code, margin_of, round_value
from pytest_lmeval.baselines.plain import plain
from pytest_lmeval.results import Flaw, ItemResult, MetricValue, TaskResult, TaskSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineItem:
    """One document of the recorded run.

    ``index`` is its position in the split, ``key`` its content in brief. ``scores`` are exact where they are 0 or 1 and
    else rounded to six significant digits. The other fields are those of ItemResult; of texts the beginning is kept.
    """

    index: int
    key: ItemKey
    margin: float | None
    scores: Mapping[str, float]
    answer: str | None = None
    extracted: str | None = None
    choice: int | None = None
    flaw: Flaw | None = None
    counts: Mapping[str, tuple[float, ...]] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """How much answers vary where nothing changed: ``scores`` of the main metric, that of the recorded run first.

    ``flips`` counts, for each further run, the documents that the main metric judged otherwise than in the recorded
    run, of ``n``. ``margin_mean`` and ``margin_p95`` are of the absolute differences of margins (nats) between the
    recorded and the further runs; None where there are no margins.
    """

    n: int
    scores: tuple[float, ...]
    flips: tuple[int, ...]
    margin_mean: float | None
    margin_p95: float | None

    @property
    def runs(self) -> int:
        """How many further runs there were."""
        return len(self.flips)

    @property
    def flip_rate(self) -> float:
        """Mean share of documents that were judged otherwise."""
        return sum(self.flips) / (self.n * self.runs) if self.n and self.runs else 0.0


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
    a date in ISO 8601; all three are for people, nothing is decided by them. ``noise`` is what further runs of the
    same model showed, None where there were none. ``published`` names the source of scores without documents.
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
    noise: Noise | None = None
    published: str | None = None

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
