"""How much a model differs from itself: further runs of a task against the one that is recorded (A/A runs)."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence

from pytest_lmeval.baselines.codec import round_value
from pytest_lmeval.baselines.margins import stored_margin
from pytest_lmeval.baselines.record import Noise
from pytest_lmeval.gate.numbers import format_value
from pytest_lmeval.results import TaskResult

# 0.7 - 0.69 is 0.010000000000000009: a gap of exactly one document is not more than one.
_SLACK = 1e-9


def noise_of(recorded: TaskResult, others: Iterable[TaskResult]) -> Noise:
    """Compare further runs of a task with the recorded one, document by document.

    ``others`` are runs of the same model on the same documents; they are taken one at a time and not kept. A document
    counts as flipped where its score by the main metric, to six digits, is another one. Documents to which one of two
    runs has no score or no margin do not count; where the main metric has no score for single documents (BLEU,
    perplexities), ``n`` is 0 and nothing flips. Margins are compared in nats, over all further runs together, and in
    the precision in which a baseline keeps them, as the gate will compare them.
    """
    key = recorded.metric(recorded.main_metric).key
    before = _scores(recorded, key)
    margins = _margins(recorded)
    scores, flips = [recorded.metric(key).value], list[int]()
    moves: list[float] = []
    for other in others:
        scores.append(other.metric(key).value)
        flips.append(_flipped(before, _scores(other, key)))
        moves.extend(_moves(margins, other))
    return Noise(
        n=len(before),
        scores=tuple(scores),
        flips=tuple(flips),
        margin_mean=math.fsum(moves) / len(moves) if moves else None,
        margin_p95=_p95(moves) if moves else None,
    )


def lucky(noise: Noise, *, higher_is_better: bool = True) -> str | None:
    """Warn of a recorded run that is the best of all, None where it is an ordinary one.

    It is lucky where it is better than the mean of the others by more than their standard deviation, and by more than
    one document. A single other run has no deviation: there the documents alone decide, and where the metric has no
    documents nothing does.
    """
    recorded, others = noise.scores[0], noise.scores[1:]
    if not others:
        return None
    sign = 1 if higher_is_better else -1
    gap = sign * (recorded - math.fsum(others) / len(others))
    best = all(sign * (recorded - score) > 0 for score in others)
    if not best or gap <= _ordinary_gap(noise, others) + _SLACK * abs(recorded):
        return None
    return (
        f"the recorded run scored {format_value(recorded)}, {_told_others(others)}: later runs will look worse than "
        "they are; record again or use more runs"
    )


def told(noise: Noise) -> str:
    """Say in one line what the further runs showed."""
    runs = f"{noise.runs} further {'run' if noise.runs == 1 else 'runs'}"
    if is_identical(noise):
        return f"identical in {runs}"
    parts = [f"scores {_range(noise.scores)} in {runs} and the recorded one"]
    if noise.n:
        parts.append(f"{noise.flip_rate:.2%} of the documents judged otherwise")
    if noise.margin_mean is not None and noise.margin_p95 is not None:
        mean, most = f"{noise.margin_mean:.2g}", f"{noise.margin_p95:.2g}"
        parts.append(f"margins moved by {mean} nats on average (95 % of them by at most {most})")
    return ", ".join(parts)


def is_identical(noise: Noise) -> bool:
    """Whether no further run differed from the recorded one in anything that is compared."""
    return len(set(noise.scores)) == 1 and not any(noise.flips) and not noise.margin_mean


def _ordinary_gap(noise: Noise, others: Sequence[float]) -> float:
    """How much better than the mean of the others an ordinary run may be, in the metric's unit."""
    document = 1 / noise.n if noise.n else 0.0
    if len(others) == 1:
        return document or math.inf
    return max(statistics.stdev(others), document)


def _scores(result: TaskResult, key: str) -> dict[int, float]:
    """The main metric's score of each document, to the digits that a baseline keeps."""
    found = {item.index: item.scores[key] for item in result.items if key in item.scores}
    return {index: round_value(score) if math.isfinite(score) else score for index, score in found.items()}


def _flipped(before: Mapping[int, float], after: Mapping[int, float]) -> int:
    return sum(repr(before[index]) != repr(score) for index, score in after.items() if index in before)


def _moves(before: Mapping[int, float], other: TaskResult) -> Iterator[float]:
    """How far each margin moved; of one that is no finite number in both runs that cannot be said."""
    for index, margin in _margins(other).items():
        move = abs(margin - before[index]) if index in before else math.nan
        if math.isfinite(move):
            yield move


def _margins(result: TaskResult) -> dict[int, float]:
    kept = {item.index: stored_margin(item.margin) for item in result.items}
    return {index: margin for index, margin in kept.items() if margin is not None}


def _p95(values: list[float]) -> float:
    """Give the 95th percentile, interpolated between neighbours."""
    return values[0] if len(values) == 1 else statistics.quantiles(values, n=20, method="inclusive")[-1]


def _told_others(others: Sequence[float]) -> str:
    return f"the other {_range(others)}" if len(others) == 1 else f"the {len(others)} others {_range(others)}"


def _range(scores: Sequence[float]) -> str:
    low, high = format_value(min(scores)), format_value(max(scores))
    return low if low == high else f"{low} to {high}"
