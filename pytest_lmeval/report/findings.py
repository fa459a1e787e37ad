"""One gated metric of a row: its numbers for the table, and what the verdict on the whole run needs of it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from pytest_lmeval.baselines.plain import Fields, write_number
from pytest_lmeval.gate.decision import Decision, Outcome
from pytest_lmeval.gate.numbers import is_fraction
from pytest_lmeval.gate.settings import Rules
from pytest_lmeval.gate.statistics.estimate import Estimate
from pytest_lmeval.gate.suite import Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was found about one metric.

    ``baseline``, ``value`` and ``difference`` are over the compared documents; ``low`` and ``high`` its 95 % interval,
    as the metric counts. ``detectable`` and ``margin`` are distances in the metric's unit. ``tested`` is for the
    verdict on the run.
    """

    metric: str
    baseline: float
    value: float
    low: float
    high: float
    detectable: float
    tested: Entry

    @property
    def difference(self) -> float:
        """``value`` minus ``baseline``."""
        return self.value - self.baseline

    @property
    def fraction(self) -> bool:
        """Whether the metric is on the scale of accuracies, so that differences read as points."""
        return self.tested.fraction

    def to_json(self) -> dict[str, Any]:
        """Reduce to plain values."""
        return {**_plain(self, "tested"), "tested": _tested_to_json(self.tested)}

    @classmethod
    def from_json(cls, data: object, place: str) -> Finding:
        """Restore from :meth:`to_json`. Raises ValueError for anything else."""
        own = Fields(data, place)
        return cls(
            metric=own.text("metric"),
            tested=_tested_from_json(own.fields("tested")),
            **{name: own.number(name) for name in ("baseline", "value", "low", "high", "detectable")},
        )


def finding(task: str, decision: Decision, rules: Rules, *, leaf_of: str | None, failed: bool = False) -> Finding:
    """Reduce a decision to what is shown of it and what the run is judged by; ``failed``: for another reason, too."""
    evidence, estimate = decision.evidence, decision.evidence.estimate
    low, high = (
        (estimate.low, estimate.high) if evidence.higher_is_better else (0.0 - estimate.high, 0.0 - estimate.low)
    )
    fraction = is_fraction(evidence.baseline, evidence.value)
    drop = -estimate.difference
    return Finding(
        metric=decision.metric,
        baseline=evidence.baseline,
        value=evidence.value,
        low=low,
        high=high,
        detectable=evidence.detectable,
        tested=Entry(
            task=task,
            metric=decision.metric,
            p=decision.p,
            estimate=estimate,
            alpha=rules.alpha,
            alpha_warn=rules.alpha_warn,
            margin=decision.margin,
            beyond=decision.bounded and drop > 0 and drop >= decision.min_effect and estimate.lower <= -decision.margin,
            failed=failed or decision.outcome is Outcome.REGRESSED,
            fraction=fraction,
            regressed=evidence.regressed,
            improved=evidence.improved,
            leaf_of=leaf_of,
        ),
    )


def _plain(value: Any, *without: str) -> dict[str, Any]:
    names = [field.name for field in fields(value) if field.name not in without]
    values = {name: getattr(value, name) for name in names}
    return {name: write_number(v) if isinstance(v, float) else v for name, v in values.items()}


def _tested_to_json(tested: Entry) -> dict[str, Any]:
    return {**_plain(tested, "estimate"), "estimate": _plain(tested.estimate)}


def _tested_from_json(data: Fields) -> Entry:
    return Entry(
        task=data.text("task"),
        metric=data.text("metric"),
        p=data.number("p"),
        estimate=read_estimate(data.fields("estimate")),
        alpha=data.number("alpha"),
        alpha_warn=data.number("alpha_warn"),
        margin=data.number("margin"),
        beyond=data.flag("beyond"),
        failed=data.flag("failed"),
        fraction=data.flag("fraction"),
        regressed=data.optional_count("regressed"),
        improved=data.optional_count("improved"),
        leaf_of=data.optional_text("leaf_of"),
    )


def read_estimate(data: Fields) -> Estimate:
    """Read an estimate that was written field by field. Raises ValueError."""
    numbers = ("difference", "p_worse", "p_better", "lower", "low", "high")
    return Estimate(
        method=data.text("method"),
        n=data.count("n"),
        stderr=data.optional_number("stderr"),
        clusters=data.optional_count("clusters"),
        note=data.text("note"),
        **{name: data.number(name) for name in numbers},
    )
