"""One document of a run as a line of JSON: how it was asked, what came back, and what the baseline has of it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, TypeVar

from pytest_lmeval.baselines.codec import ItemKey
from pytest_lmeval.baselines.plain import FieldError, Fields, read_count, write_number
from pytest_lmeval.baselines.record import NO_COUNTS, BaselineItem
from pytest_lmeval.results import Flaw, ItemResult

T = TypeVar("T")

_TEXTS = ("document_hash", "prompt_hash", "target_hash", "examples", "prompt", "target", "answer")
_OPTIONAL_TEXTS = ("extracted", "error", "cluster")


def item_to_json(item: ItemResult) -> dict[str, Any]:
    """Reduce to plain values; numbers that JSON lacks become texts."""
    return {
        "index": item.index,
        **{name: getattr(item, name) for name in (*_TEXTS, *_OPTIONAL_TEXTS)},
        "scores": _numbers(item.scores),
        "margin": _number(item.margin),
        "choice": item.choice,
        "choices": list(item.choices),
        "logprobs": [write_number(value) for value in item.logprobs],
        "flaw": item.flaw,
        "counts": {key: [write_number(value) for value in values] for key, values in item.counts.items()},
        "facets": dict(item.facets),
    }


def item_from_json(data: object, place: str) -> ItemResult:
    """Restore from :func:`item_to_json`. Raises ValueError for anything else."""
    item = Fields(data, place)
    return ItemResult(
        index=item.count("index"),
        **{name: item.text(name) for name in _TEXTS},
        extracted=item.optional_text("extracted"),
        error=item.optional_text("error"),
        cluster=item.optional_text("cluster"),
        scores=MappingProxyType(item.number_mapping("scores")),
        margin=item.optional_number("margin"),
        choice=item.optional_count("choice"),
        choices=item.texts("choices"),
        logprobs=item.numbers("logprobs"),
        flaw=_flaw(item),
        counts=_counts(item),
        facets=MappingProxyType(item.text_mapping("facets")),
    )


def then_to_json(item: BaselineItem) -> dict[str, Any]:
    """Reduce what the baseline has of a document to plain values."""
    return {
        "index": item.index,
        "key": list(item.key),
        "margin": _number(item.margin),
        "scores": _numbers(item.scores),
        "answer": item.answer,
        "extracted": item.extracted,
        "choice": item.choice,
        "flaw": item.flaw,
        "counts": {key: [write_number(value) for value in values] for key, values in item.counts.items()},
    }


def then_from_json(data: object, place: str) -> BaselineItem:
    """Restore from :func:`then_to_json`. Raises ValueError for anything else."""
    item = Fields(data, place)
    key = item.each("key", read_count)
    if len(key) != len(ItemKey._fields):
        raise FieldError(f"{place}.key has {len(key)} parts, expected {len(ItemKey._fields)}")
    return BaselineItem(
        index=item.count("index"),
        key=ItemKey(*key),
        margin=item.optional_number("margin"),
        scores=MappingProxyType(item.number_mapping("scores")),
        answer=item.optional_text("answer"),
        extracted=item.optional_text("extracted"),
        choice=item.optional_count("choice"),
        flaw=_flaw(item),
        counts=_counts(item),
    )


def _number(value: float | None) -> float | str | None:
    return None if value is None else write_number(value)


def _numbers(values: Mapping[str, float]) -> dict[str, float | str]:
    return {key: write_number(value) for key, value in values.items()}


def _counts(item: Fields) -> Mapping[str, tuple[float, ...]]:
    counts = item.mapping("counts")
    if not counts:
        return NO_COUNTS
    fields = item.fields("counts")
    return MappingProxyType({key: fields.numbers(key) for key in counts})


def _flaw(item: Fields) -> Flaw | None:
    text = item.optional_text("flaw")
    if text is not None and text not in list(Flaw):
        raise FieldError(f"flaw is {text[:40]!r}, expected one of {', '.join(Flaw)}")
    return None if text is None else Flaw(text)
