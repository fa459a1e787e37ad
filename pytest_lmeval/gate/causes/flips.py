"""The documents that a run lost: what was answered then and now, and what kind of loss that is."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import zip_longest

from pytest_lmeval.baselines.texts import kept_answer
from pytest_lmeval.gate.causes.differing import Difference, Same, first_difference
from pytest_lmeval.gate.causes.measure import Measure, in_order
from pytest_lmeval.gate.pairing import Pair
from pytest_lmeval.results import Flaw, ItemResult


class Kind(StrEnum):
    """How a document was lost: by another answer, or by a flaw of the answer, named as in ``Flaw``."""

    WRONG = "wrong"
    NOT_EXTRACTED = "not extracted"
    TRUNCATED = "truncated"
    REPETITION = "repetition"
    EMPTY = "empty"
    NOT_A_NUMBER = "not a number"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """One document that was right and is wrong, or that has a worse value than it had.

    ``scored`` is False where it has no value now: it counts as neither right nor wrong. ``then`` is the old answer,
    of texts the recorded beginning, None where the baseline has none. ``drop`` is by how much the value got worse,
    ``swing`` by how much the margin fell (nats); None where there is no such thing. ``first_difference`` is None for
    choices and where the old text is unknown. ``margins`` are those then and now (nats). ``logprobs`` are, of choices,
    the log-probabilities now (nats) of what was chosen and of what was expected; None where one of them is not known.
    """

    index: int
    kind: Kind
    then: str | None
    now: str
    expected: str
    prompt_tail: str
    extracted_then: str | None
    extracted_now: str | None
    drop: float | None
    swing: float | None
    first_difference: Difference | Same | None
    generated: bool
    error: str | None = None
    margins: tuple[float | None, float | None] = (None, None)
    logprobs: tuple[float, float] | None = None

    @property
    def scored(self) -> bool:
        """Whether the document has a value now."""
        return self.drop is not None


def find_flips(pairs: Iterable[Pair], measure: Measure) -> tuple[Flip, ...]:
    """Collect the lost documents, in the order of their positions.

    One without a value now is among them where it was right, or where documents are not right or wrong.
    """
    gains = [(pair, measure.gain(pair)) for pair in in_order(pairs)]
    return tuple(_flip(pair, gain) for pair, gain in gains if _is_lost(pair, gain, measure))


def count_kinds(pairs: Sequence[Pair], metric: str, *, higher_is_better: bool = True) -> Mapping[Kind, int]:
    """Count the lost documents by kind, the most frequent first."""
    return kinds_of(find_flips(pairs, Measure.of(pairs, metric, higher_is_better=higher_is_better)))


def kinds_of(flips: Iterable[Flip]) -> Mapping[Kind, int]:
    """Count flips by kind, the most frequent first, equally frequent ones in the order of ``Kind``."""
    counts = Counter(flip.kind for flip in flips)
    places = list(Kind)
    return dict(sorted(counts.items(), key=lambda entry: (-entry[1], places.index(entry[0]))))


def choose_flips(flips: Sequence[Flip], n: int) -> tuple[Flip, ...]:
    """Choose the ``n`` clearest: of each kind in turn, the most frequent first; those without a value last.

    Clear is, of choices, a margin that fell far; of texts, one that differs early; of other values, a large drop.
    """
    ranked = sorted(flips, key=_clearness)
    scored = [flip for flip in ranked if flip.scored]
    rounds = zip_longest(*([flip for flip in scored if flip.kind is kind] for kind in kinds_of(scored)))
    in_turn = [flip for chosen in rounds for flip in chosen if flip is not None]
    return (*in_turn, *(flip for flip in ranked if not flip.scored))[:n]


def kind_of(pair: Pair) -> Kind:
    """Name what is wrong with a lost document's answer. A flaw that the old answer had, too, did not lose it."""
    if pair.now.error is not None:
        return Kind.ERROR
    flaw = new_flaw(pair)
    return Kind.WRONG if flaw is None else Kind(flaw.value)


def _kind_without_value(pair: Pair) -> Kind:
    return Kind.NOT_A_NUMBER if pair.now.flaw is Flaw.NOT_A_NUMBER else Kind.ERROR


def new_flaw(pair: Pair) -> Flaw | None:
    """Give the flaw of the answer, unless it is recorded that the old one had it as well."""
    return None if pair.now.flaw is pair.then.flaw else pair.now.flaw


def old_answer(pair: Pair) -> str | None:
    """Give the old answer: of choices the chosen one's text, where the baseline says which."""
    choices, choice = pair.now.choices, pair.then.choice
    if choices and choice is not None:
        # The number comes from a file.
        return choices[choice] if 0 <= choice < len(choices) else None
    return pair.then.answer


def _is_lost(pair: Pair, gain: float | None, measure: Measure) -> bool:
    if gain is not None:
        return gain < 0
    return measure.now(pair) is None and measure.was_right(pair)


def _flip(pair: Pair, gain: float | None) -> Flip:
    now, then = pair.now, pair.then
    generated = not now.choices
    return Flip(
        index=now.index,
        kind=kind_of(pair) if gain is not None else _kind_without_value(pair),
        then=old_answer(pair),
        now=now.answer,
        expected=now.target,
        prompt_tail=now.prompt,
        extracted_then=then.extracted,
        extracted_now=now.extracted,
        drop=None if gain is None else -gain,
        swing=_swing(pair),
        first_difference=_differing(then.answer, now.answer) if generated else None,
        generated=generated,
        error=now.error,
        margins=(then.margin, now.margin),
        logprobs=_logprobs(now),
    )


def _differing(then: str | None, now: str) -> Difference | Same | None:
    if then is None:
        return None
    recorded = kept_answer(now)
    if recorded == then:
        return Same.WHOLE if now == then else Same.RECORDED
    return first_difference(then, recorded)


def _logprobs(now: ItemResult) -> tuple[float, float] | None:
    if now.choice is None or now.target not in now.choices or len(now.logprobs) != len(now.choices):
        return None
    return now.logprobs[now.choice], now.logprobs[now.choices.index(now.target)]


def _swing(pair: Pair) -> float | None:
    then, now = pair.then.margin, pair.now.margin
    if then is None or now is None or not (math.isfinite(then) and math.isfinite(now)):
        return None
    return then - now


def _clearness(flip: Flip) -> tuple[float, ...]:
    """Sort key, the clearest first; of equally clear ones the first in the data set."""
    found = flip.first_difference
    early = found.position if isinstance(found, Difference) else math.inf
    swing = -math.inf if flip.swing is None else flip.swing
    return (-swing, early, -(flip.drop or 0.0), flip.index)
