"""Whether two answers say the same in another form: other case, whitespace, or punctuation around it."""

from __future__ import annotations

from collections.abc import Callable

from pytest_lmeval.baselines.texts import kept_answer, kept_extracted
from pytest_lmeval.gate.causes.flips import Flip

# Not what changes a value: signs, currencies, percent.
_AROUND = " .,:;!?\"'`*_()[]{}#"
# The longest spelling of one character: what room a text that was cut may have left.
_ROOM = "x" * 12


def another_form(flip: Flip) -> bool:
    """Whether the document was lost by the form of its answer alone; False where the old one is not known whole."""
    if not flip.generated or flip.then is None:
        return False
    if flip.extracted_then is not None and flip.extracted_now is not None:
        return _same(flip.extracted_then, flip.extracted_now, kept_extracted)
    return flip.extracted_then is flip.extracted_now is None and _same(flip.then, flip.now, kept_answer)


def _same(then: str, now: str, kept: Callable[[str], str]) -> bool:
    whole = kept(then + _ROOM) == then + _ROOM
    # What is many times as long differs in more than its form; megabytes need no folding to see that.
    if not whole or len(now) > 2 * len(then) + 100:
        return False
    return then != now and _folded(then) == _folded(now) != ""


def _folded(text: str) -> str:
    return " ".join(text.casefold().split()).strip(_AROUND)
