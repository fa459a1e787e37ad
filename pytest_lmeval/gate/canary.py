"""Whether a model works at all: seen on its first answers, before anything is compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pytest_lmeval.gate.outcomes import Outcome
from pytest_lmeval.results import Flaw

#: Documents after which a model that gives nothing but degenerate answers is given up.
FIRST = 32

#: Share of these that must be degenerate, and that the baseline's on the same documents may not reach.
BROKEN_SHARE = 0.9
SOUND_SHARE = 0.5

_WORDS = {
    Flaw.EMPTY: "empty",
    Flaw.REPETITION: "going round in circles",
    Flaw.TRUNCATED: "cut off by the token limit",
    Flaw.NOT_A_NUMBER: "not a number",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """One document now and, where the baseline has it, then. ``error`` says why there is no answer now."""

    now: Outcome
    then: Outcome | None
    error: str | None = None


def broken(first: Sequence[Observed], *, has_stops: bool) -> str | None:
    """Say what shows that the model is broken, None where nothing does. ``first`` are all documents so far.

    A log-probability that is not a number is enough. Answers that are empty or go round in circles are where nine of
    ten of the first documents have such and the baseline's have not. An answer that the limit of tokens ended counts
    with them only where the task has stop strings to end it and a baseline says that it can be ended: without one the
    limit may simply be too low.
    """
    if not first or len(first) > FIRST:
        return None
    now, then = first[-1].now.flaw, first[-1].then
    # A baseline may have such a document among those that were not answered.
    if now is Flaw.NOT_A_NUMBER and (then is None or then.flaw not in (Flaw.NOT_A_NUMBER, Flaw.ERROR)):
        return "the model gives a log-probability that is not a number"
    if len(first) < FIRST:
        return None
    if all(seen.error is not None for seen in first):
        return f"none of the first {FIRST} documents was answered: {_line(first[0].error or '')}"
    flaws = {Flaw.EMPTY, Flaw.REPETITION}
    if has_stops and all(seen.then is not None for seen in first):
        flaws.add(Flaw.TRUNCATED)
    return _degenerate(first, frozenset(flaws))


def counted(outcomes: Iterable[Outcome]) -> str:
    """Spell how many answers have which flaw: ``29 going round in circles, 2 empty``."""
    counts = Counter(outcome.flaw for outcome in outcomes if outcome.flaw in _WORDS)
    return ", ".join(f"{count:,} {_WORDS[flaw]}" for flaw, count in counts.most_common() if flaw is not None)


def _degenerate(first: Sequence[Observed], flaws: frozenset[Flaw]) -> str | None:
    now = [seen.now for seen in first if seen.now.degenerate(flaws)]
    then = [seen.then for seen in first if seen.then is not None and seen.then.degenerate(flaws)]
    if len(now) < BROKEN_SHARE * len(first) or len(then) >= SOUND_SHARE * len(first):
        return None
    before = f"; of the baseline's {len(then)} were so" if any(seen.then for seen in first) else ""
    return f"{len(now)} of the first {len(first)} answers are degenerate ({counted(now)}){before}"


def _line(text: str) -> str:
    return text.splitlines()[0] if text else "no reason given"
