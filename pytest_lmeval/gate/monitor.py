"""Whether a task need be asked any further, told document by document as they are answered.

Three things end it: a model that is broken, evidence of harm that holds however often one looks, and, where that was
asked for, certainty that the rest cannot change a pass. An equal model is stopped for harm with a probability of at
most a fifth of the gate's error rate; the rest of it is the final test's (:func:`combined_p`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from pytest_lmeval.baselines.record import Baseline, BaselineItem
from pytest_lmeval.gate.canary import FIRST, Observed, broken, counted
from pytest_lmeval.gate.discordance import Discordance
from pytest_lmeval.gate.outcomes import Judging, Outcome, Partners
from pytest_lmeval.gate.statistics.sequential import SEQUENTIAL_SHARE, CountBounds, anytime_p
from pytest_lmeval.results import Flaw, ItemResult

#: Fewer points more of degenerate answers than these stop no task.
DEGENERATE_POINTS = 10.0

#: Probability that a task which was stopped because it passes would not have passed.
SETTLED_ALPHA = 0.01

# Between two documents the bounds of the final counts hardly move.
_LOOK_EVERY = 8

#: Whether so many regressed and improved documents of so many pairs are a pass.
Settled = Callable[[int, int, int], bool]


class StopKind(StrEnum):
    """Why a task was not asked any further."""

    BROKEN = "broken"
    WORSE = "worse"
    SETTLED = "settled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """``asked`` documents of ``total`` were enough. ``reason`` is for people, as is the whole as text."""

    kind: StopKind
    reason: str
    asked: int
    total: int

    def __str__(self) -> str:
        """Tell what was saved, and why."""
        return f"after {self.asked:,} of {self.total:,} documents: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Watching:
    """What is watched for in the ``total`` documents of one task.

    ``alpha`` is the rate of false alarms of the whole run, ``family_size`` the number of tests that share it.
    ``margin`` is in points: a smaller drop stops nothing, however certain. ``settled`` is None where a pass stops
    nothing, ``for_harm`` False where harm stops nothing, ``for_broken`` False where a broken model does not either.
    ``has_stops`` says that the task has stop strings.
    """

    judging: Judging
    total: int
    alpha: float
    margin: float
    family_size: int = 1
    settled: Settled | None = None
    has_stops: bool = False
    for_harm: bool = True
    for_broken: bool = True

    @property
    def threshold(self) -> float:
        """The evidence, as log E, that stops: two processes share a fifth of this test's error rate."""
        return math.log(2 * self.family_size / (SEQUENTIAL_SHARE * self.alpha))


def monitor_for(
    baseline: Baseline | None,
    *,
    metric_key: str | None,
    total: int,
    alpha: float,
    margin_points: float,
    family_size: int = 1,
    settled: Settled | None = None,
    has_stops: bool = False,
    for_harm: bool = True,
    for_broken: bool = True,
) -> Monitor:
    """Make the monitor of a task of ``total`` documents.

    ``metric_key`` is the gated metric, None or one that the baseline does not have where there is nothing to compare:
    then only a broken model is seen. The other arguments are those of :class:`Watching`.
    """
    metric = None if baseline is None or metric_key is None else baseline.metric(metric_key)
    judging = Judging(metric=metric_key, higher_is_better=metric is None or metric.higher_is_better)
    watching = Watching(
        judging=judging,
        total=total,
        alpha=alpha,
        margin=margin_points,
        family_size=family_size,
        settled=settled if metric is not None else None,
        has_stops=has_stops,
        for_harm=for_harm,
        for_broken=for_broken,
    )
    return Monitor(watching, baseline)


class Monitor:
    """Watches one task. Documents come in an order that is random with respect to their answers.

    Only a metric that is 0 or 1 for each document is watched for harm; of others, and of metrics of the whole, there
    are only the degenerate answers to see.
    """

    def __init__(self, watching: Watching, baseline: Baseline | None) -> None:
        self.stop: Stop | None = None
        self._watching = watching
        self._partners = None if baseline is None else Partners(baseline)
        self._first: list[Observed] = []
        self._asked = self._unknown = 0
        self._accuracy, self._degenerate = Discordance(), Discordance()
        self._now: list[Outcome] = []
        self._regressed = self._improved = CountBounds.before(watching.total)

    @property
    def compares(self) -> bool:
        """Whether there is a baseline: else only the first answers are looked at, in any order."""
        return self._partners is not None

    @property
    def p_value(self) -> float:
        """The smallest p-value so far against "no more documents wrong than with the baseline".

        It holds whenever one looks, beside that of degenerate answers; the final test's is combined with it.
        """
        return min(1.0, 2 * anytime_p(self._accuracy.evidence))

    def tell(self, item: ItemResult) -> Stop | None:
        """Take the next document; return why no further one is needed, None where they are."""
        if self.stop is not None:
            return self.stop
        self._asked += 1
        partner = None if self._partners is None else self._partners.take(item)
        observed = self._observed(item, partner)
        if len(self._first) < FIRST:
            self._first.append(observed)
        self._compare(observed, item.cluster)
        if (reason := self._broken()) is not None:
            self._end(StopKind.BROKEN, reason)
        elif (reason := self._harm()) is not None:
            self._end(StopKind.WORSE, reason)
        elif self._passes():
            self._end(StopKind.SETTLED, _settled_text(self._watching.total - self._asked))
        return self.stop

    def _observed(self, item: ItemResult, partner: BaselineItem | None) -> Observed:
        judging = self._watching.judging
        then = None if partner is None else judging.outcome(partner.scores, partner.flaw)
        return Observed(now=judging.outcome(item.scores, item.flaw), then=then, error=item.error)

    def _compare(self, seen: Observed, cluster: str | None) -> None:
        now, then = seen.now, seen.then
        judged = then is not None and then.right is not None and now.right is not None
        if then is not None and now.right is not None and then.right is not None:
            self._accuracy.count(now.right - then.right, cluster)
        self._unknown += not judged
        if then is not None and now.flaw is not Flaw.ERROR:
            self._degenerate.count(then.degenerate() - now.degenerate(), cluster)
            if now.degenerate() and not then.degenerate():
                self._now.append(now)

    def _broken(self) -> str | None:
        if not self._watching.for_broken or self._asked > FIRST:
            return None
        return broken(self._first, has_stops=self._watching.has_stops)

    def _harm(self) -> str | None:
        """Say what has got worse, None where nothing certainly has, or less than counts."""
        accuracy, degenerate = self._accuracy, self._degenerate
        if not self._watching.for_harm:
            return None
        if self._certain(accuracy, self._watching.margin):
            return (
                f"{accuracy.worse:,} documents that the baseline has right are wrong now and {accuracy.better:,} the "
                f"other way round; {self._odds(accuracy)}"
            )
        if self._certain(degenerate, max(DEGENERATE_POINTS, self._watching.margin)):
            return (
                f"{degenerate.worse:,} answers are degenerate where the baseline's are not ({counted(self._now)}) and "
                f"{degenerate.better:,} the other way round; {self._odds(degenerate)}"
            )
        return None

    def _certain(self, found: Discordance, margin: float) -> bool:
        return found.evidence >= self._watching.threshold and found.points >= margin and found.worse > found.better

    @staticmethod
    def _odds(found: Discordance) -> str:
        """A bound on how often that happens by chance, at whatever time one looks, in either of the two processes."""
        runs = math.floor(min(1e6, 0.5 / anytime_p(found.evidence)))
        return f"a model that is as good gets there in fewer than 1 of {runs:,} runs"

    def _passes(self) -> bool:
        """Whether the documents to come, with the stated probability, cannot keep it from passing."""
        watching = self._watching
        if watching.settled is None or self._accuracy.clustered or self._asked >= watching.total:
            return False
        if self._asked % _LOOK_EVERY:
            return False
        # A document without a verdict of both runs is counted against this one: so must the final verdict bear it.
        against = self._accuracy.worse + self._unknown
        seen = (self._asked, watching.total)
        self._regressed = self._regressed.after(against, *seen, alpha=SETTLED_ALPHA / 2)
        self._improved = self._improved.after(self._accuracy.better, *seen, alpha=SETTLED_ALPHA / 2)
        return watching.settled(self._regressed.high, self._improved.low, watching.total)

    def _end(self, kind: StopKind, reason: str) -> None:
        self.stop = Stop(kind=kind, reason=reason, asked=self._asked, total=self._watching.total)


def _settled_text(left: int) -> str:
    return f"it passes whatever the other {left:,} say, with a probability of {100 * (1 - SETTLED_ALPHA):g} %"
