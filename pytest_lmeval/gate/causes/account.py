"""An account of why a metric dropped: which documents, how, where, and what that points to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pytest_lmeval.gate.causes.flips import Flip, Kind, choose_flips, find_flips, kinds_of
from pytest_lmeval.gate.causes.likely import Facts, likely_cause
from pytest_lmeval.gate.causes.measure import Measure, in_order
from pytest_lmeval.gate.causes.slices import Breakdown, break_down
from pytest_lmeval.gate.pairing import Pair


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Why a metric dropped.

    Of ``documents`` with a value in both runs, ``regressed`` got worse and ``improved`` better; ``unanswered`` had one
    and have none now, and count as neither. ``flips`` has the regressed and the unanswered documents, the clearest of
    each kind first, ``kinds`` their numbers. ``cause`` is one sentence, None where nothing stands
    out.
    """

    metric: str
    measure: Measure
    documents: int
    regressed: int
    improved: int
    unanswered: int
    kinds: Mapping[Kind, int]
    flips: tuple[Flip, ...]
    breakdown: Breakdown
    cause: str | None


def account(pairs: Sequence[Pair], metric_key: str, higher_is_better: bool, *, seed: int = 0) -> Account:
    """Account for the change of one metric over the paired documents; their order makes no difference.

    ``seed`` is for the permutation tests between slices. Where documents have no value of the metric (BLEU and other
    metrics of the whole), the account is empty.
    """
    ordered = in_order(pairs)
    measure = Measure.of(ordered, metric_key, higher_is_better=higher_is_better)
    gains = [(pair, gain) for pair in ordered if (gain := measure.gain(pair)) is not None]
    lost = [pair for pair, gain in gains if gain < 0]
    flips = find_flips(ordered, measure)
    breakdown = break_down(ordered, measure, seed=seed)
    improved = sum(gain > 0 for _, gain in gains)
    facts = Facts(
        pairs=ordered,
        measure=measure,
        lost=lost,
        flips=[flip for flip in flips if flip.scored],
        unanswered=len(flips) - len(lost),
        kept=[pair for pair, gain in gains if gain >= 0 and measure.was_right(pair)],
        improved=improved,
        breakdown=breakdown,
    )
    return Account(
        metric=metric_key,
        measure=measure,
        documents=len(gains),
        regressed=len(lost),
        improved=improved,
        unanswered=facts.unanswered,
        kinds=kinds_of(flips),
        flips=choose_flips(flips, len(flips)),
        breakdown=breakdown,
        cause=likely_cause(facts),
    )
