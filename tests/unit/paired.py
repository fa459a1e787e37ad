"""Documents asked twice: pairs of a run's item and a baseline's."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from pytest_lmeval.baselines.codec import item_key
from pytest_lmeval.baselines.record import BaselineItem
from pytest_lmeval.baselines.texts import kept_answer, kept_extracted
from pytest_lmeval.gate.pairing import Pair
from pytest_lmeval.results import ItemResult

NOTHING: Mapping[str, Any] = {}


def pair(
    index: int,
    then: float | None,
    now: float | None,
    *,
    old: Mapping[str, Any] = NOTHING,
    metric: str = "acc",
    **facts: Any,
) -> Pair:
    """Pair two values of one document; ``old`` are the baseline's other fields, ``facts`` the run's."""
    digest = hashlib.sha256(str(index).encode()).hexdigest()
    asked: dict[str, Any] = {
        "index": index,
        "document_hash": digest,
        "prompt_hash": digest,
        "target_hash": digest,
        "scores": {} if now is None else {metric: now},
        "margin": None,
        "prompt": f"Question {index}?\nA:",
        "target": "42",
        "answer": "an answer",
    }
    item = ItemResult(**{**asked, **facts})
    recorded: dict[str, Any] = {
        "index": index,
        "key": item_key(item),
        "margin": None,
        "scores": {} if then is None else {metric: then},
    }
    return Pair(now=item, then=BaselineItem(**{**recorded, **old}))


def lost(index: int, **facts: Any) -> Pair:
    """A document that was right and is wrong."""
    return pair(index, 1.0, 0.0, **facts)


def kept(index: int, **facts: Any) -> Pair:
    """A document that was right and is so still."""
    return pair(index, 1.0, 1.0, **facts)


def won(index: int, **facts: Any) -> Pair:
    """A document that was wrong and is right."""
    return pair(index, 0.0, 1.0, **facts)


def generated(index: int, before: str, after: str, *, then: float = 1.0, now: float = 0.0, **facts: Any) -> Pair:
    """A document answered with a text, of which the baseline keeps the beginning."""
    old: dict[str, Any] = {"answer": kept_answer(before)}
    for name in ("extracted", "flaw"):
        if (value := facts.pop(f"old_{name}", None)) is not None:
            old[name] = kept_extracted(value) if name == "extracted" else value
    return pair(index, then, now, old=old, answer=after, **facts)


def chosen(index: int, before: int | None, after: int, *, gold: int = 0, count: int = 4, **facts: Any) -> Pair:
    """A document answered by choosing, right where the choice is ``gold``."""
    choices = facts.pop("choices", tuple(f"choice {place} of {index}" for place in range(count)))
    old = {"choice": before, "margin": facts.pop("old_margin", None)}
    return pair(
        index,
        float(before == gold),
        float(after == gold),
        old=old,
        choices=choices,
        choice=after,
        answer=choices[after],
        target=choices[gold],
        **facts,
    )
