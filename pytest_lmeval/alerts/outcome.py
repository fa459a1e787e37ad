"""What an alert is about: which tasks failed, then and now."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_lmeval.history.text import storable
from pytest_lmeval.options.alerts import NotifyOn
from pytest_lmeval.runs.run import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """``failing`` are the tasks that failed, ``failed`` tells whether the run did: all tasks together may fail, too."""

    run: str
    failing: frozenset[str]
    failed: bool

    @classmethod
    def of(cls, run: Run) -> Outcome:
        """Reduce a run to what an alert compares."""
        return cls(
            run=run.facts.id,
            failing=frozenset(storable(row.task) for row in run.rows if not row.passed),
            failed=run.failed,
        )


def is_due(on: NotifyOn, now: Outcome, then: Outcome | None) -> bool:
    """Whether to send an alert. Without a run before, a failure is news and a pass is not."""
    if on is NotifyOn.ALWAYS:
        return True
    if on is NotifyOn.FAILURE or then is None:
        return now.failed
    return (now.failed, now.failing) != (then.failed, then.failing)
