"""How a group's aggregate moved: from its leaves' evidence, weighted as the aggregate weighs them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from pytest_lmeval.gate.detecting import smallest_drop
from pytest_lmeval.gate.evidence import Evidence, Levels
from pytest_lmeval.gate.statistics.combining import pooled_binary, stratified
from pytest_lmeval.gate.statistics.estimate import Estimate

# Weights of a size-weighted mean are the shares of the documents, up to rounding.
_SAME_SHARE = 1e-9


def group_evidence(metric: str, leaves: Sequence[Evidence], weights: Sequence[float], levels: Levels) -> Evidence:
    """Combine the leaves' evidence on one metric; ``weights`` sum to 1.

    A mean over all documents of binary leaves is one test over all of them. Any other is a stratified estimate.
    """
    evidence = Evidence(
        metric=metric,
        baseline=math.fsum(w * leaf.baseline for w, leaf in zip(weights, leaves, strict=True)),
        value=math.fsum(w * leaf.value for w, leaf in zip(weights, leaves, strict=True)),
        higher_is_better=leaves[0].higher_is_better,
        estimate=_combined([leaf.estimate for leaf in leaves], leaves, weights, levels),
        detectable=0.0,
        **_flips(leaves),
        missing=sum(leaf.missing for leaf in leaves),
        worst=_bound(leaves, weights, levels, "worst"),
        best=_bound(leaves, weights, levels, "best"),
        paired=all(leaf.paired for leaf in leaves),
    )
    return replace(evidence, detectable=smallest_drop(evidence, levels))


def _flips(leaves: Sequence[Evidence]) -> dict[str, int]:
    counted = [(leaf.regressed, leaf.improved) for leaf in leaves]
    if any(worse is None or better is None for worse, better in counted):
        return {}
    return {"regressed": sum(w or 0 for w, _ in counted), "improved": sum(b or 0 for _, b in counted)}


def _combined(
    estimates: Sequence[Estimate], leaves: Sequence[Evidence], weights: Sequence[float], levels: Levels
) -> Estimate:
    if _pools(estimates, leaves, weights):
        counts = [(leaf.regressed or 0, leaf.improved or 0, leaf.estimate.n) for leaf in leaves]
        return pooled_binary(counts, alpha=levels.bound)
    return stratified(estimates, weights, alpha=levels.bound)


def _pools(estimates: Sequence[Estimate], leaves: Sequence[Evidence], weights: Sequence[float]) -> bool:
    total = sum(estimate.n for estimate in estimates)
    shares = [estimate.n / total for estimate in estimates] if total else []
    binary = all(leaf.regressed is not None and leaf.estimate.clusters is None for leaf in leaves)
    same = all(abs(w - share) < _SAME_SHARE for w, share in zip(weights, shares, strict=True)) if shares else False
    return binary and same


def _bound(leaves: Sequence[Evidence], weights: Sequence[float], levels: Levels, side: str) -> Estimate | None:
    """Combine the leaves' worst or best cases; those of leaves without missing documents are what they are."""
    if not any(leaf.missing for leaf in leaves):
        return None
    bounds = [getattr(leaf, side) or (None if leaf.missing else leaf.estimate) for leaf in leaves]
    known = [bound for bound in bounds if bound is not None]
    return stratified(known, weights, alpha=levels.bound) if len(known) == len(bounds) else None
