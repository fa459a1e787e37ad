"""A slide over several runs, and the commits between which it began."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from pytest_lmeval.gate.numbers import format_distance, format_value, is_fraction
from pytest_lmeval.gate.statistics.cusum import decision_for, slide
from pytest_lmeval.gate.verdict import Status
from pytest_lmeval.history.points import TrendPoint
from pytest_lmeval.history.series import Series

# Of a fall so much in one step makes it that step's.
_MOST = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """A metric that fell. ``before`` is the last run that had not, ``first`` the first that had, ``now`` the latest.

    ``runs`` counts from ``first`` to ``now``. ``at`` is the run by which most of the fall came, None where it came bit
    by bit.
    """

    task: str
    metric: str
    before: TrendPoint
    first: TrendPoint
    now: TrendPoint
    runs: int
    at: TrendPoint | None

    @property
    def sentence(self) -> str:
        """For people: how far it fell, how long it took and where to look."""
        fraction = is_fraction(self.before.value, self.now.value)
        like = max(abs(self.before.value), abs(self.now.value))
        moved = format_distance(self.now.value - self.before.value, fraction=fraction, like=like, signed=True)
        then, now = (format_value(point.value, like=like) for point in (self.before, self.now))
        if self.at is not None:
            how = f"got worse with {_place(self.at)}"
        else:
            how = f"has been sliding for {self.runs} runs, since {_place(self.first)}"
        return f"{self.metric} of {self.task} {how}: {then} -> {now} ({moved}); before it was {_place(self.before)}"


def shift_of(series: Series, *, among: int = 1) -> Shift | None:
    """Find the slide that the latest run of a series is the end of; None where there is none.

    ``among`` counts the series that are looked at together: none of them may raise false alarms more often for it.

    It begins anew where a baseline was recorded: that level was accepted. Runs that cannot be compared with the one
    before them add nothing.
    """
    accepted = [at for at, point in enumerate(series.points) if point.verdict == Status.RECORDED.value]
    start = accepted[-1] if accepted else 0
    points = series.points[start:]
    steps = [step or 0.0 for step in series.steps()[start:]]
    found = slide(steps, decision=decision_for(among))
    if found is None:
        return None
    moves = [now.value - then.value for then, now in pairwise(points)]
    fall = moves[found.start :]
    largest = max(fall, key=abs)
    return Shift(
        task=series.task,
        metric=series.metric,
        before=points[found.start],
        first=points[found.start + 1],
        now=points[-1],
        runs=len(fall),
        at=points[found.start + 1 + fall.index(largest)] if abs(largest) >= _MOST * abs(sum(fall)) else None,
    )


def _place(point: TrendPoint) -> str:
    return f"commit {point.commit[:10]} (run {point.run})" if point.commit else f"run {point.run}"
