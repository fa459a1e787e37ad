"""Whether the model has come to prefer one place among the choices, whatever stands there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_lmeval.gate.pairing import Pair
from pytest_lmeval.gate.statistics.binary import mid_p

#: What is called a preference: a share that grew by so much, beyond what chance explains.
GROWTH = 0.10
LEVEL = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    """A choice that is taken more often than it was.

    ``place`` is its index, ``text`` what stands there where that is the same in every document (a letter, yes or no).
    ``then`` and ``now`` are the shares of the ``n`` documents in which it was taken. ``p`` is two-sided: mid-p
    McNemar of the documents that moved to it and away from it, times the number of places.
    """

    place: int
    text: str | None
    then: float
    now: float
    n: int
    p: float


def find_preference(pairs: Sequence[Pair]) -> Preference | None:
    """Find the choice whose share grew most; None where none grew by ``GROWTH``, or chance would explain it."""
    known = [pair for pair in pairs if pair.now.choice is not None and pair.then.choice is not None]
    then = Counter(pair.then.choice for pair in known)
    now = Counter(pair.now.choice for pair in known)
    places = sorted(place for place in {*then, *now} if place is not None)
    if not known or len(places) < 2:
        return None
    place = min(places, key=lambda at: (then[at] - now[at], at))
    found = _preference(known, place, then[place], now[place], len(places))
    return found if found.now - found.then >= GROWTH and found.p < LEVEL else None


def _preference(known: Sequence[Pair], place: int, then: int, now: int, places: int) -> Preference:
    stayed = sum(pair.then.choice == place == pair.now.choice for pair in known)
    p = 2 * float(mid_p(now - stayed, then - stayed))
    return Preference(
        place=place,
        text=_common_text(known, place),
        then=then / len(known),
        now=now / len(known),
        n=len(known),
        p=min(1.0, p * places),
    )


def _common_text(known: Sequence[Pair], place: int) -> str | None:
    texts = {pair.now.choices[place].strip() for pair in known if place < len(pair.now.choices)}
    return texts.pop() if len(texts) == 1 else None
