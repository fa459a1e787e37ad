"""The verdict on a whole run: many comparisons together raise false alarms, and many small drops add up to one.

The family are the gated metrics of the run and, where there are two or more, one test over the documents of all tasks
together, which sees a drop that is the same everywhere. Holm's procedure keeps the rate of false alarms of the family
at alpha, whatever depends on what. An item that ran before this was known has been held to alpha over the size of the
family (Bonferroni), so that it fails only where this does; what fails only here fails the run.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from pytest_lmeval.gate.numbers import format_distance
from pytest_lmeval.gate.statistics.combining import largest_drop, pooled_binary, stratified
from pytest_lmeval.gate.statistics.estimate import Estimate
from pytest_lmeval.gate.statistics.multiple import benjamini_hochberg, fisher, holm

# So many leaves of a group are named.
_NAMED = 5

POOLED = "all tasks together"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One gated metric of the run, as its item found it. Distances are in the metric's unit, ``estimate`` oriented.

    ``p`` is what the item decided by, ``alpha`` and ``alpha_warn`` are those of the whole run, ``beyond`` tells that
    the drop is large enough to count, so that only its certainty is in question. ``leaf_of`` names the group that
    decides in this task's place.
    """

    task: str
    metric: str
    p: float
    estimate: Estimate
    alpha: float
    alpha_warn: float
    margin: float
    beyond: bool
    failed: bool
    fraction: bool
    regressed: int | None = None
    improved: int | None = None
    leaf_of: str | None = None

    @property
    def name(self) -> str:
        """Task and metric."""
        return f"{self.task} {self.metric}"


class SuiteStatus(StrEnum):
    """What became of the run."""

    PASS = "pass"
    SUSPECT = "suspect"
    REGRESSED = "regressed"


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteVerdict:
    """What the run's tests say together.

    ``adjusted`` maps the names of what was tested to Holm's adjusted p-values, ``leaves`` those of leaves to Benjamini
    and Hochberg's q-values, for information. ``sentences`` are for people, the decisive one first.
    """

    status: SuiteStatus
    sentences: tuple[str, ...]
    adjusted: Mapping[str, float]
    leaves: Mapping[str, float]
    pooled: Estimate | None

    @property
    def failed(self) -> bool:
        """Whether the run fails by this."""
        return self.status is SuiteStatus.REGRESSED

    def to_json(self) -> dict[str, Any]:
        """Reduce to plain values, for reports."""
        return {
            "status": self.status.value,
            "sentences": list(self.sentences),
            "adjusted": dict(self.adjusted),
            "leaves": dict(self.leaves),
            "pooled": None if self.pooled is None else asdict(self.pooled),
        }


def judge_suite(tested: Sequence[Entry], *, everything: bool = False, seed: int = 0) -> SuiteVerdict | None:
    """Judge the run by what its items found; None where nothing was compared.

    ``everything`` adds Fisher's combination, which takes tasks for independent, and the largest drop among them.
    """
    family = [entry for entry in tested if entry.leaf_of is None]
    if not family:
        return None
    pooled = _pooled(family)
    p_values = {entry.name: entry.p for entry in family}
    if pooled is not None:
        p_values[POOLED] = _pooled_p(pooled, family, everything=everything, seed=seed)
    adjusted = dict(zip(p_values, holm(list(p_values.values())), strict=True))
    leaves = [entry for entry in tested if entry.leaf_of is not None]
    q_values = dict(zip([e.name for e in leaves], benjamini_hochberg([e.p for e in leaves]), strict=True))
    failing = tuple(_failing(family, adjusted))
    told = (
        *failing,
        *_together(family, pooled, adjusted),
        *_no_longer(family, adjusted),
        *_suspects(family, adjusted),
        *_leaves_told(family, leaves, q_values),
    ) or tuple(_nothing(family, pooled, adjusted))
    return SuiteVerdict(
        status=_status(family, adjusted, pooled),
        sentences=told,
        adjusted=MappingProxyType(adjusted),
        leaves=MappingProxyType(q_values),
        pooled=pooled,
    )


def _alpha(family: Sequence[Entry]) -> float:
    """Tasks may ask for different rates: the family is held to the smallest."""
    return min(entry.alpha for entry in family)


def _alpha_warn(family: Sequence[Entry]) -> float:
    return max(_alpha(family), min(entry.alpha_warn for entry in family))


def _margin(family: Sequence[Entry]) -> float:
    """What all tasks together may lose: no more than the one that may lose most."""
    return max((entry.margin for entry in family if entry.fraction), default=0.0)


def _pooled(family: Sequence[Entry]) -> Estimate | None:
    """Estimate the drop over all documents, each counted once: a group stands for its leaves."""
    # The first metric of a task: a second one is of the same documents. And none of which nothing can be concluded.
    usable = [entry for entry in family if entry.fraction and entry.estimate.n and math.isfinite(entry.estimate.lower)]
    first = {entry.task: entry for entry in reversed(usable)}
    parts = [entry for entry in family if first.get(entry.task) is entry]
    if len(parts) < 2:
        return None
    level = _alpha_warn(family)
    if all(entry.regressed is not None and entry.estimate.clusters is None for entry in parts):
        return pooled_binary([(e.regressed or 0, e.improved or 0, e.estimate.n) for e in parts], alpha=level)
    known = [entry.estimate for entry in parts if entry.estimate.stderr is not None]
    total = sum(estimate.n for estimate in known)
    return stratified(known, [estimate.n / total for estimate in known], alpha=level) if total else None


def _pooled_p(pooled: Estimate, family: Sequence[Entry], *, everything: bool, seed: int) -> float:
    if not everything:
        return pooled.p_worse
    counts = [(e.regressed, e.improved, e.estimate.n) for e in family if e.regressed is not None]
    others = [fisher([entry.p for entry in family])]
    if counts:
        largest = largest_drop([(b or 0, c or 0, n) for b, c, n in counts], seed=seed)
        others.append(1.0 if largest is None else largest.p)
    return min(1.0, (1 + len(others)) * min(pooled.p_worse, *others))


def _status(family: Sequence[Entry], adjusted: Mapping[str, float], pooled: Estimate | None) -> SuiteStatus:
    if any(entry.failed or (entry.beyond and adjusted[entry.name] < _alpha(family)) for entry in family):
        return SuiteStatus.REGRESSED
    if pooled is not None and adjusted[POOLED] < _alpha(family) and pooled.lower <= -_margin(family):
        return SuiteStatus.REGRESSED
    suspects = any(entry.beyond and adjusted[entry.name] < _alpha_warn(family) for entry in family)
    together = pooled is not None and adjusted[POOLED] < _alpha_warn(family)
    return SuiteStatus.SUSPECT if suspects or together else SuiteStatus.PASS


def _failing(family: Sequence[Entry], adjusted: Mapping[str, float]) -> list[str]:
    return [
        f"{entry.name} regressed among {len(adjusted)} tests (adjusted p = {adjusted[entry.name]:.2g}), although its "
        "own item passed"
        for entry in family
        if not entry.failed and entry.beyond and adjusted[entry.name] < _alpha(family)
    ]


def _together(family: Sequence[Entry], pooled: Estimate | None, adjusted: Mapping[str, float]) -> list[str]:
    if pooled is None or adjusted[POOLED] >= _alpha_warn(family):
        return []
    drop = format_distance(-pooled.difference, fraction=True, like=1)
    worst = format_distance(-pooled.lower, fraction=True, like=1)
    margin = _margin(family)
    within = f", at most {worst}: within the margin of {format_distance(margin, fraction=True, like=1)}"
    return [
        f"all tasks together lost {drop} over {pooled.n:,} documents (adjusted p = {adjusted[POOLED]:.2g})"
        f"{within if pooled.lower > -margin else ''}"
    ]


def _leaves_told(family: Sequence[Entry], leaves: Sequence[Entry], q_values: Mapping[str, float]) -> Iterator[str]:
    """Name the tasks that moved in groups that failed: shown, and no verdict of their own."""
    for group in (entry for entry in family if entry.failed):
        moved = [e for e in leaves if e.leaf_of == group.task and q_values[e.name] < group.alpha_warn]
        moved.sort(key=lambda entry: (q_values[entry.name], entry.name))
        if moved:
            told = ", ".join(f"{entry.task} (q = {q_values[entry.name]:.2g})" for entry in moved[:_NAMED])
            more = f" and {len(moved) - _NAMED} more" if len(moved) > _NAMED else ""
            yield f"of {group.task}, {told}{more} fell"


def _nothing(family: Sequence[Entry], pooled: Estimate | None, adjusted: Mapping[str, float]) -> list[str]:
    if pooled is None:
        return []
    moved = format_distance(pooled.difference, fraction=True, like=1, signed=True)
    failed = sum(entry.failed for entry in family)
    found = f"{failed:,} failed" if failed else "none suspect"
    return [f"all tasks together moved by {moved} over {pooled.n:,} documents; {len(adjusted)} tests, {found}"]


def _no_longer(family: Sequence[Entry], adjusted: Mapping[str, float]) -> list[str]:
    return [
        f"{entry.name} alone would have failed (p = {entry.p:.2g}); among {len(adjusted)} tests it does not "
        f"(adjusted p = {adjusted[entry.name]:.2g})"
        for entry in family
        if entry.beyond and entry.p < entry.alpha <= adjusted[entry.name]
    ]


def _suspects(family: Sequence[Entry], adjusted: Mapping[str, float]) -> list[str]:
    return [
        f"{entry.name} is suspect (adjusted p = {adjusted[entry.name]:.2g}): look at it, or ask more documents"
        for entry in family
        if entry.beyond and not entry.failed and _alpha(family) <= adjusted[entry.name] < _alpha_warn(family)
    ]
