"""A baseline: what one run of one task answered, in as much detail as a later run is compared with."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from pytest_lmeval.baselines.codec import ItemKey, item_key, round_value
from pytest_lmeval.baselines.margins import stored_margin
from pytest_lmeval.baselines.plain import plain
from pytest_lmeval.baselines.texts import kept_answer, kept_extracted
from pytest_lmeval.results import Flaw, ItemResult, MetricValue, TaskResult, TaskSettings

#: Only what a model wrote itself is kept as text: the choices of others are their dataset's.
TEXT_OUTPUT = "generate_until"
NO_COUNTS: Mapping[str, tuple[float, ...]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineItem:
    """One document of the recorded run.

    ``index`` is its position in the split, ``key`` its content in brief. ``scores`` are exact where they are 0 or 1 and
    else rounded to six significant digits; ``margin`` is rounded to half precision (:func:`stored_margin` does the same
    to a margin that is compared with it). The other fields are those of ItemResult: ``counts`` exact, of the texts of a
    generation the beginning (:func:`kept_answer`). A document with the flaw ``ERROR`` has neither scores nor margin.
    """

    index: int
    key: ItemKey
    margin: float | None
    scores: Mapping[str, float]
    answer: str | None = None
    extracted: str | None = None
    choice: int | None = None
    flaw: Flaw | None = None
    counts: Mapping[str, tuple[float, ...]] = field(default_factory=lambda: NO_COUNTS)


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
    a date in ISO 8601, ``commit`` the tests' revision in version control, None where there is none: all for people,
    apart from what :func:`~pytest_lmeval.baselines.surroundings.changed_surroundings` takes from ``model``. ``noise``
    is what further runs of the same model showed, None where there were none. ``published`` names the source of scores
    without documents.
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
    commit: str | None = None
    noise: Noise | None = None
    published: str | None = None

    @property
    def answered(self) -> int:
        """How many documents the model answered about."""
        return self.n - sum(item.flaw is Flaw.ERROR for item in self.items)

    def metric(self, key: str) -> MetricValue | None:
        """Find a metric by its exact key."""
        return next((metric for metric in self.metrics if metric.key == key), None)


def from_result(
    result: TaskResult,
    model: Mapping[str, Any],
    environment: Mapping[str, Any],
    created: str,
    *,
    commit: str | None = None,
    noise: Noise | None = None,
) -> Baseline:
    """Reduce a result to its baseline; writing it to a file and reading it back changes nothing more."""
    writes = result.settings.output_type == TEXT_OUTPUT
    items = sorted(result.items, key=lambda item: item.index)
    return Baseline(
        task=result.task,
        created=created,
        n=result.n,
        total=result.total,
        main_metric=result.main_metric,
        metrics=result.metrics,
        settings=plain_settings(result.settings),
        items=tuple(_baseline_item(item, writes=writes) for item in items),
        digests=digests(result.items),
        members=result.members,
        model=plain(model),
        environment=plain(environment),
        commit=commit,
        noise=noise,
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


def _baseline_item(item: ItemResult, *, writes: bool) -> BaselineItem:
    failed = item.error is not None or item.flaw is Flaw.ERROR
    return BaselineItem(
        index=item.index,
        key=item_key(item),
        margin=None if failed else stored_margin(item.margin),
        scores=MappingProxyType({} if failed else {key: stored_score(item.scores[key]) for key in sorted(item.scores)}),
        answer=kept_answer(item.answer) if writes and not failed else None,
        extracted=kept_extracted(item.extracted) if writes and item.extracted is not None else None,
        choice=item.choice,
        flaw=Flaw.ERROR if failed else item.flaw,
        counts=_counts(item.counts),
    )


def _counts(counts: Mapping[str, tuple[float, ...]]) -> Mapping[str, tuple[float, ...]]:
    if not counts:
        return NO_COUNTS
    return MappingProxyType({key: tuple(map(_same_nan, counts[key])) for key in sorted(counts)})


def stored_score(value: float) -> float:
    """Return a score as a file keeps it."""
    return round_value(value) if math.isfinite(value) else _same_nan(value)


def _same_nan(value: float) -> float:
    # Tuples and mappings are equal where their parts are the same object, as what is read from a file is.
    return math.nan if math.isnan(value) else float(value)
