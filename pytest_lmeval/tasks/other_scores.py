"""Results of models that give no log-likelihoods: other metrics, under other names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from pytest_lmeval.results import ItemResult, TaskResult

# They divide a log-likelihood by the length of the text, or subtract another: of a letter that says nothing.
MEANINGLESS = ("acc_norm", "acc_bytes", "acc_mutual_info", "perplexity", "word_perplexity", "byte_perplexity")

T = TypeVar("T")


def named(key: str, scoring: str) -> str:
    """Name a metric after what stands for a log-likelihood: ``acc`` is ``acc@letters`` then."""
    name, comma, chosen = key.partition(",")
    return f"{name}@{scoring}{comma}{chosen}"


def under(result: TaskResult, scoring: str) -> TaskResult:
    """Return ``result`` with its metrics named after ``scoring``, without those that mean nothing then."""
    kept = [metric for metric in result.metrics if metric.name not in MEANINGLESS]
    keys = {metric.key for metric in kept}
    main = result.main_metric if result.main_metric in keys else next(iter(metric.key for metric in kept), "acc")
    told = f"scored by {scoring}, not by log-likelihood: another metric, comparable with its like alone"
    return replace(
        result,
        metrics=tuple(replace(metric, name=f"{metric.name}@{scoring}") for metric in kept),
        main_metric=named(main, scoring),
        items=tuple(_item(item, keys, scoring) for item in result.items),
        settings=replace(result.settings, scoring=scoring),
        unscored=_renamed(result.unscored, keys, scoring),
        warnings=(*result.warnings, told),
    )


def item_under(item: ItemResult, scoring: str) -> ItemResult:
    """Return one document of such a result."""
    names = {key.partition("/")[0] for key in item.scores}
    return _item(item, {key for key in names if key.partition(",")[0] not in MEANINGLESS}, scoring)


def _item(item: ItemResult, keys: set[str], scoring: str) -> ItemResult:
    return replace(item, scores=_renamed(item.scores, keys, scoring), counts=_renamed(item.counts, keys, scoring))


def _renamed(values: Mapping[str, T], keys: set[str], scoring: str) -> dict[str, T]:
    """Keep the values of these metrics, and of what they are made of (``key/item``)."""
    parts = [(key.partition("/"), value) for key, value in values.items()]
    return {f"{named(key, scoring)}{slash}{rest}": value for (key, slash, rest), value in parts if key in keys}
