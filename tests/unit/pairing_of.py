"""Pairs of made-up documents for the gate's tests: what a run and its baseline made of each."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from pytest_lmeval.baselines.codec import item_key
from pytest_lmeval.baselines.record import BaselineItem
from pytest_lmeval.gate.pairing import Pair
from pytest_lmeval.results import ItemResult, MetricValue


def document(index: int, scores: Mapping[str, float], **facts: Any) -> ItemResult:
    digest = hashlib.sha256(b"%d" % index).hexdigest()
    given = {"margin": None, "prompt": "?", "target": "yes", "answer": "no", **facts}
    return ItemResult(index=index, document_hash=digest, prompt_hash=digest, target_hash=digest, scores=scores, **given)


def pair(index: int, then: float | None, now: float | None, *, key: str = "acc", **facts: Any) -> Pair:
    scores = {} if now is None else {key: now}
    item = document(index, scores, **facts)
    old = BaselineItem(index=index, key=item_key(item), margin=None, scores={} if then is None else {key: then})
    return Pair(now=item, then=old)


def flipping(lost: int, gained: int, both: int, neither: int) -> list[Pair]:
    """Pairs of a metric that is right or wrong, by how often it was which."""
    kinds = [(1.0, 0.0)] * lost + [(0.0, 1.0)] * gained + [(1.0, 1.0)] * both + [(0.0, 0.0)] * neither
    return [pair(at, then, now) for at, (then, now) in enumerate(kinds)]


def metric(name: str = "acc", value: float = 0.5, **facts: Any) -> MetricValue:
    given = {"filter": "none", "stderr": 0.02, "higher_is_better": True, "n": 100, **facts}
    return MetricValue(name=name, value=value, **given)


def means(pairs: Sequence[Pair], key: str = "acc") -> tuple[float, float]:
    both = [p for p in pairs if key in p.now.scores and key in p.then.scores]
    then, now = ([arm.scores[key] for arm in arms] for arms in ([p.then for p in both], [p.now for p in both]))
    return sum(then) / len(both), sum(now) / len(both)
