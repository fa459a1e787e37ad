"""Documents about which the model did not answer: how many are too many for a verdict."""

from __future__ import annotations

from pytest_lmeval.results import TaskResult
from pytest_lmeval.unanswered import listed


def too_many_errors(result: TaskResult, rate: float) -> str | None:
    """Say that more than a share ``rate`` of the documents was not answered, with the reasons; else None."""
    if result.errors <= rate * result.n:
        return None
    were = "was" if result.errors == 1 else "were"
    items = [item for one in (result, *result.leaves) for item in one.items]
    reasons = listed(item.error for item in items if item.error is not None)
    counts = f"{result.errors:,} of {result.n:,} documents {were} not answered"
    return f"{result.task}: {counts}, and max_error_rate is {rate * 100:g} %:\n{reasons}"
