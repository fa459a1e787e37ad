"""What is wrong with an answer apart from its content: empty, going round in circles, cut off, not a number."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_lmeval.results import Flaw

# A loop is looked for at the end of an answer, in so many characters: however long the answer is, that takes no longer.
TAIL = 4096

# Characters that must be the same as one period earlier, or no loop is looked for.
_PROBE = 12

# Fewer repetitions than these are no loop.
_TIMES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loop:
    """The end of a text: ``length`` characters that repeat every ``period``."""

    period: int
    length: int
    unit: str

    @property
    def times(self) -> int:
        return self.length // self.period


def flaw_of_text(text: str, *, truncated: bool) -> Flaw | None:
    """Return what is wrong with a generated ``text``; ``truncated`` says that the limit of tokens ended it.

    Going round in circles counts before having been cut off, which is what becomes of it.
    """
    if not text.strip():
        return Flaw.EMPTY
    loop = _loop_at_end(text[-TAIL:])
    if loop is not None and _is_endless(loop, len(text), truncated=truncated):
        return Flaw.REPETITION
    return Flaw.TRUNCATED if truncated else None


def flaw_of_choices(logprobs: Sequence[float]) -> Flaw | None:
    """Tell log-probabilities from which no answer follows: one that is NaN or infinite, or none that is possible."""
    broken = any(math.isnan(logprob) or logprob == math.inf for logprob in logprobs)
    impossible = bool(logprobs) and all(logprob == -math.inf for logprob in logprobs)
    return Flaw.NOT_A_NUMBER if broken or impossible else None


def _is_endless(loop: _Loop, length: int, *, truncated: bool) -> bool:
    """Whether a loop is the model's failure, and not a rule of a table, a row of zeros or a refrain.

    A model in a loop does not find the end, the limit does. Where an answer ends by itself more is asked: that many
    verses nobody writes.
    """
    share = loop.length / min(length, TAIL)
    if any(map(str.isalpha, loop.unit)):
        if truncated:
            return loop.length >= 200 or (loop.length >= 40 and share >= 0.5)
        return loop.times >= 10 and loop.length >= 200 and share >= 0.5
    # Rules, zeros, brackets and the rows of an empty table may be long, and some are all there is to say.
    wide = 200 if any(map(str.isdigit, loop.unit)) else 100
    return truncated and ((loop.length >= wide and share >= 0.5) or (loop.length >= wide // 2 - 10 and share >= 0.95))


def _loop_at_end(tail: str) -> _Loop | None:
    """Find the longest end of ``tail`` that is one unit at least ``_TIMES`` times over.

    Linear in the tail: it is the longest prefix of the reversed tail with so short a period, and the prefix function
    gives each prefix's shortest period (Knuth, Morris and Pratt 1977).
    """
    if tail.rfind(tail[-_PROBE:], 0, -1) < 0:
        return None
    turned = tail[::-1]
    borders = [0] * len(turned)
    border, best = 0, (0, 0)
    for at in range(1, len(turned)):
        while border and turned[at] != turned[border]:
            border = borders[border - 1]
        border += turned[at] == turned[border]
        borders[at] = border
        if at + 1 >= _TIMES * (at + 1 - border):
            best = (at + 1, at + 1 - border)
    length, period = best
    return _Loop(period=period, length=length, unit=tail[-period:]) if length else None
