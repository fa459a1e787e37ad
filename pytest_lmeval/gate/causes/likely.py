"""One sentence on what most likely lost the documents, by rules over the numbers; none where nothing stands out.

A rule speaks where what it is about holds for at least half of the lost documents and is rarer, beyond chance, among
those that were right and still are. The first that speaks is heard: they stand in the order of how far they would
explain a drop by something else than worse answers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pytest_lmeval.gate.causes.differing import Same
from pytest_lmeval.gate.causes.flips import Flip, Kind, kind_of
from pytest_lmeval.gate.causes.form import another_form
from pytest_lmeval.gate.causes.measure import Measure
from pytest_lmeval.gate.causes.preference import find_preference
from pytest_lmeval.gate.causes.quoting import quoted, spelled
from pytest_lmeval.gate.causes.slices import Breakdown, Slice
from pytest_lmeval.gate.numbers import format_distance
from pytest_lmeval.gate.pairing import Pair
from pytest_lmeval.gate.statistics.binary import mid_p

#: Share of the lost documents that a cause must hold for, and how few of them are an accident.
MOST = 0.5
FEWEST = 3
#: Level of the test against the documents that are still right.
LEVEL = 0.01
# Changed documents from which "both ways" is a finding, and the p above which there is no direction in them.
_MANY_FLIPS = 10
_NO_DIRECTION = 0.2
# Share of the lost documents that must be among the least sure quarter.
_NEARLY_ALL = 0.8
_FEWEST_MARGINS = 5
#: The column of the prompts' lengths, whose values are quarters: "1 of 4" are the shortest.
PROMPT_LENGTH = "prompt length"
_QUARTERS = ("1 of 4", "2 of 4", "3 of 4", "4 of 4")

_TEXT_WIDTH = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the rules look at.

    ``lost`` are the documents that got worse, ``flips`` what is told of them, ``unanswered`` counts those that have no
    value any more. ``kept`` are the other documents that were right, ``improved`` counts those that got better.
    """

    pairs: Sequence[Pair]
    measure: Measure
    lost: Sequence[Pair]
    flips: Sequence[Flip]
    unanswered: int
    kept: Sequence[Pair]
    improved: int
    breakdown: Breakdown


def likely_cause(facts: Facts) -> str | None:
    """Give the sentence of the first rule that has one."""
    if not facts.lost and not facts.unanswered:
        return None
    return next((sentence for rule in _RULES if (sentence := rule(facts))), None)


def _unanswered(facts: Facts) -> str | None:
    lost = len(facts.lost)
    if facts.unanswered < FEWEST or facts.unanswered <= lost:
        return None
    return (
        f"{facts.unanswered:,} documents that had a value have none now, more than got worse ({lost:,}): "
        "look at the errors first"
    )


def _judged_otherwise(facts: Facts) -> str | None:
    same = sum(flip.first_difference is Same.WHOLE for flip in facts.flips)
    if same < FEWEST or same < MOST * len(facts.lost):
        return None
    return (
        f"{same:,} of {len(facts.lost):,} lost documents have the same answer as before: it is judged otherwise "
        "(filters, metric or targets), not answered otherwise"
    )


def _in_another_form(facts: Facts) -> str | None:
    same = sum(another_form(flip) for flip in facts.flips)
    if same < FEWEST or same < MOST * len(facts.lost):
        return None
    return (
        f"{same:,} of {len(facts.lost):,} lost documents have the same answer in another form "
        "(case, spaces or punctuation around it)"
    )


_FLAWS: dict[Kind, str] = {
    Kind.NOT_A_NUMBER: "have log-probabilities that are not numbers: the computation is broken",
    Kind.EMPTY: "have an empty answer: compare stop strings and the chat template",
    Kind.REPETITION: "have an answer that goes round in circles",
    Kind.TRUNCATED: "were cut off by the token limit: compare max_gen_toks and how answers end",
    Kind.NOT_EXTRACTED: "have an answer, but the filter finds none in it: the form of the answers changed",
}


def _flawed(facts: Facts) -> str | None:
    for kind, predicate in _FLAWS.items():
        lost = sum(kind_of(pair) is kind for pair in facts.lost)
        kept = sum(kind_of(pair) is kind for pair in facts.kept)
        if _stands_out(lost, len(facts.lost), kept, len(facts.kept)):
            # Only wrong answers are called not extracted: there the others are no contrast.
            told = facts.kept and kind is not Kind.NOT_EXTRACTED
            contrast = f", but {kept:,} of {len(facts.kept):,} kept ones," if told else ""
            return f"{lost:,} of {len(facts.lost):,} lost documents{contrast} {predicate}"
    return None


def _both_ways(facts: Facts) -> str | None:
    lost, won = len(facts.lost), facts.improved
    if not facts.measure.binary or lost + won < _MANY_FLIPS or float(mid_p(lost, won)) < _NO_DIRECTION:
        return None
    return (
        f"documents change both ways ({lost:,} lost, {won:,} gained): this looks like noise or a different rounding, "
        "not like a direction"
    )


def _prefers(facts: Facts) -> str | None:
    found = find_preference(facts.pairs)
    if found is None:
        return None
    taken = sum(pair.now.choice == found.place for pair in facts.lost)
    if taken < FEWEST or taken < MOST * len(facts.lost):
        return None
    what = f"choice {quoted(found.text, _TEXT_WIDTH)}" if found.text else f"the choice in place {found.place + 1}"
    return (
        f"the model now prefers {what}: in {100 * found.now:.0f} % of the documents (was {100 * found.then:.0f} %), "
        f"and in {taken:,} of {len(facts.lost):,} lost ones"
    )


def _sliced(facts: Facts) -> str | None:
    found = facts.breakdown.outstanding
    if not found:
        return None
    if lengths := _by_length(facts, found[0]):
        return lengths
    first = found[0]
    return (
        f"documents with {spelled(first.facet, _TEXT_WIDTH)} = {quoted(first.value, _TEXT_WIDTH)} moved most: "
        f"{_moved(first.difference, facts)} in {first.n:,}, {_moved(first.rest, facts)} in the others"
    )


def _by_length(facts: Facts, first: Slice) -> str | None:
    parts = {part.value: part for part in facts.breakdown.slices if part.facet == PROMPT_LENGTH}
    if first.facet != PROMPT_LENGTH or not parts.keys() >= set(_QUARTERS):
        return None
    sign = 1 if facts.measure.higher_is_better else -1
    moves = [sign * parts[value].difference for value in _QUARTERS]
    if moves != sorted(moves, reverse=True):
        return None
    shortest, longest = parts[_QUARTERS[0]], parts[_QUARTERS[-1]]
    return (
        f"the longer the prompt, the larger the loss: {_moved(longest.difference, facts)} in the longest quarter, "
        f"{_moved(shortest.difference, facts)} in the shortest"
    )


def _close_calls(facts: Facts) -> str | None:
    lost, kept = _margins(facts.lost), _margins(facts.kept)
    if len(lost) < _FEWEST_MARGINS or len(lost) < len(facts.lost):
        return None
    ordered = sorted([*lost, *kept])
    quarter = len(ordered) // 4
    # Where margins tie across the border there is no such quarter.
    if not quarter or ordered[quarter - 1] == ordered[quarter]:
        return None
    near = sum(margin <= ordered[quarter - 1] for margin in lost)
    if near < _NEARLY_ALL * len(lost):
        return None
    return (
        f"{near:,} of {len(lost):,} lost documents were among the quarter of which the model had been least sure: "
        "a small shift everywhere is enough for that"
    )


def _margins(pairs: Sequence[Pair]) -> list[float]:
    margins = (pair.then.margin for pair in pairs)
    return [margin for margin in margins if margin is not None and math.isfinite(margin)]


def _stands_out(lost: int, all_lost: int, kept: int, all_kept: int) -> bool:
    """Whether something holds for most of the lost documents, and for few of the kept ones (Fisher's exact test)."""
    if lost < FEWEST or lost < MOST * all_lost:
        return False
    if not all_kept:
        return True
    from scipy.stats import hypergeom

    return float(hypergeom.sf(lost - 1, all_lost + all_kept, lost + kept, all_lost)) < LEVEL


def _moved(difference: float, facts: Facts) -> str:
    return format_distance(difference, fraction=facts.measure.fraction, like=difference, signed=True)


_RULES: tuple[Callable[[Facts], str | None], ...] = (
    _unanswered,
    _judged_otherwise,
    _in_another_form,
    _flawed,
    _both_ways,
    _prefers,
    _sliced,
    _close_calls,
)
