"""When a run may become the baseline: what was asked for, and what would be lost by it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pytest_lmeval.baselines.record import Baseline
from pytest_lmeval.baselines.update import Update
from pytest_lmeval.results import TaskResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a run stands to its baseline.

    ``exists`` tells that there is a file, ``baseline`` what is in it, None where it cannot be read. ``keeps`` tells
    that the baseline still describes the run. ``lowered`` are the gated metrics whose value is worse than the
    baseline's, by however little, also where the two are of other questions. ``broken`` says why the run has no result
    that means anything, None where it has.
    """

    exists: bool
    baseline: Baseline | None
    keeps: bool
    lowered: tuple[str, ...]
    broken: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """Whether the run is written. Where it should be and must not be, ``refused`` says why and what to do.

    ``worse``: for no other reason than that its score is lower.
    """

    writes: bool
    refused: str | None = None
    worse: bool = False


def decide_writing(update: Update, result: TaskResult, standing: Standing, *, accept_regression: bool) -> Writing:
    """Decide whether a result is written.

    ``NEW`` writes only where there is no file; ``CHANGED`` also where the file does not describe the run any more;
    ``ALL`` always. Refused is a run that is no measurement (broken, stopped early), one of fewer documents than the
    baseline (unless with ``ALL``), and a lower score that nobody accepted; one in place of a file that cannot be read
    may be.
    """
    if not _is_wanted(update, standing):
        return Writing(writes=False)
    if refused := next(_obstacles(update, result, standing), None):
        return Writing(writes=False, refused=f"not recorded: {refused}")
    if standing.lowered and not accept_regression:
        return Writing(writes=False, refused=_worse(standing.lowered), worse=True)
    if standing.exists and standing.baseline is None and not accept_regression:
        return Writing(writes=False, refused=_UNREADABLE)
    return Writing(writes=True)


_UNREADABLE = (
    "not recorded: the baseline that is there cannot be read, and its score may have been better; restore the file, or "
    "add --lm-accept-regression to replace it"
)


def answered(result: TaskResult) -> int:
    """How many documents the model answered about."""
    return result.n - result.errors


def _is_wanted(update: Update, standing: Standing) -> bool:
    if not standing.exists or update is Update.ALL:
        return True
    return update is Update.CHANGED and not standing.keeps


def _obstacles(update: Update, result: TaskResult, standing: Standing) -> Iterator[str]:
    """Why the result is none to compare others with, the worst first."""
    baseline = standing.baseline
    if standing.broken is not None:
        yield standing.broken
    if result.stopped is not None:
        yield f"the run was stopped before its end ({result.stopped}), and the rest is unknown"
    if baseline is not None and update is not Update.ALL and _is_smaller(result, baseline):
        yield (
            f"this run has answers about {answered(result):,} documents and the baseline about {baseline.answered:,}; "
            "ask about all of them, or give up the others with --lm-update-baseline=all"
        )


def _is_smaller(result: TaskResult, baseline: Baseline) -> bool:
    """Whether documents would be lost. A data set that has become smaller, asked as a whole, loses none."""
    is_whole = result.n == result.total and not result.errors
    return not is_whole and answered(result) < baseline.answered


def _worse(metrics: tuple[str, ...]) -> str:
    are = "is" if len(metrics) == 1 else "are"
    return (
        f"not recorded: {', '.join(metrics)} {are} worse than in the baseline; where that is as it should be, add "
        "--lm-accept-regression"
    )
