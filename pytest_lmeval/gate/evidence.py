"""What is known of how one metric moved between a run and its baseline."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_lmeval.gate.statistics.estimate import Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """``alpha`` is the rate of false alarms of this one test, ``bound`` the level of the bound against the margin."""

    alpha: float
    bound: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One metric, then and now, over the documents of both; in its own unit.

    ``estimate`` is oriented: negative is worse. ``regressed`` and ``improved`` count flips, None where documents are
    not right or wrong. ``detectable`` is the smallest drop that this test sees with a probability of 80 %. ``missing``
    documents have no value in one of the two runs; ``worst`` and ``best`` are the estimates with all of these against
    or for this run, None where nothing is missing or no such bound exists.
    """

    metric: str
    baseline: float
    value: float
    higher_is_better: bool
    estimate: Estimate
    detectable: float
    regressed: int | None = None
    improved: int | None = None
    missing: int = 0
    worst: Estimate | None = None
    best: Estimate | None = None
    paired: bool = True

    @property
    def difference(self) -> float:
        """``value`` minus ``baseline``, as the metric counts."""
        return self.value - self.baseline

    @property
    def flip_rate(self) -> float | None:
        """Share of the documents that flipped."""
        if self.regressed is None or self.improved is None or not self.estimate.n:
            return None
        return (self.regressed + self.improved) / self.estimate.n
