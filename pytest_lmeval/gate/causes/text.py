"""The account as lines for a terminal: plain text of at most 100 columns, everything untrusted in it escaped."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from pytest_lmeval.gate.causes.account import Account
from pytest_lmeval.gate.causes.differing import Difference
from pytest_lmeval.gate.causes.flips import Flip, Kind, kinds_of
from pytest_lmeval.gate.causes.quoting import columns, quoted, quoted_end, spelled, spelled_end
from pytest_lmeval.gate.causes.slices import FEWEST, SIGNIFICANT, Breakdown, Slice
from pytest_lmeval.gate.numbers import format_distance

#: The longest line.
COLUMNS = 100
#: Flips and slices that are shown unless there is reason for more.
SHOWN_FLIPS, SHOWN_SLICES = 3, 3
_MORE_FLIPS = 10
_ALL = 2

_WORDS: dict[Kind, str] = {
    Kind.WRONG: "answered otherwise",
    Kind.NOT_EXTRACTED: "without an answer that the filter finds",
    Kind.TRUNCATED: "cut off by the token limit",
    Kind.REPETITION: "going round in circles",
    Kind.EMPTY: "empty",
    Kind.NOT_A_NUMBER: "with log-probabilities that are not numbers",
    Kind.ERROR: "not answered",
}
# Where the end of an answer shows what became of it.
_SHOW_END = {Kind.TRUNCATED, Kind.REPETITION, Kind.NOT_EXTRACTED}


def account_lines(account: Account, *, verbosity: int) -> list[str]:
    """Spell the account.

    With ``verbosity`` 0 (the default of pytest) three documents and the slices that stand out; with 1 ten documents
    and the first three slices in any case; from 2 on all of both. No lines where nothing got worse.
    """
    if not account.flips:
        return []
    return [
        *_counts(account),
        *_wrapped(f"likely cause: {account.cause}" if account.cause else ""),
        *_slices(account, verbosity),
        *_flips(account, verbosity),
    ]


def _counts(account: Account) -> Iterator[str]:
    lost, won = ("lost (right before, wrong now)", "gained") if account.measure.binary else ("worse", "better")
    yield f"{account.regressed:,} of {account.documents:,} documents {lost}, {account.improved:,} {won}"
    kinds = kinds_of(flip for flip in account.flips if flip.scored)
    told = ", ".join(f"{count:,} {_WORDS[kind]}" for kind, count in kinds.items())
    yield from _wrapped(f"of these: {told}" if told else "")
    if account.unanswered:
        yield f"without a value now, so neither right nor wrong: {account.unanswered:,} more"


def _wrapped(text: str) -> list[str]:
    # What is untrusted in the text has been cut and escaped; its wide characters take the room of two.
    width = COLUMNS - max(0, columns(text) - len(text))
    return textwrap.wrap(text, width, subsequent_indent="  ", break_on_hyphens=False)


def _slices(account: Account, verbosity: int) -> Iterator[str]:
    found = account.breakdown
    shown = found.slices if verbosity >= _ALL else (found.slices if verbosity else found.outstanding)[:SHOWN_SLICES]
    for part in shown:
        yield from _wrapped(_slice(part, account))
    if found.even and (verbosity or found.slices[0].q < SIGNIFICANT):
        yield from _wrapped(f"spread evenly: {_evenly(found)}")
    if verbosity and found.left_out:
        yield f"slices of fewer than {FEWEST} documents, not tested: {found.left_out:,}"


def _slice(part: Slice, account: Account) -> str:
    name = f"{spelled(part.facet, 24)} = {quoted(part.value, 30)}"
    q = "q < 0.001" if part.q < 0.001 else f"q = {part.q:.2g}"
    counts = f"{part.regressed:,} worse, {part.improved:,} better of {part.n:,}"
    moved, rest = (
        format_distance(value, fraction=account.measure.fraction, like=part.difference, signed=True)
        for value in (part.difference, part.rest)
    )
    return f"slice {name}: {moved} ({counts}; the others {rest}; {q})"


def _evenly(found: Breakdown) -> str:
    names = ", ".join(spelled(spread.facet, 20) for spread in found.spreads[:5])
    return f"no slice moved more than the others by {names}, beyond chance"


def _flips(account: Account, verbosity: int) -> Iterator[str]:
    limit = len(account.flips) if verbosity >= _ALL else _MORE_FLIPS if verbosity else SHOWN_FLIPS
    for flip in account.flips[:limit]:
        yield from _flip(flip, binary=account.measure.binary)
    if len(account.flips) > limit:
        yield f"{len(account.flips) - limit:,} more, all shown with -vv"


def _flip(flip: Flip, *, binary: bool) -> Iterator[str]:
    kind = "" if flip.kind is Kind.WRONG else f" ({flip.kind})"
    drop = "" if binary or flip.drop is None else f", worse by {flip.drop:.3g}"
    yield f"document {flip.index}{kind}{drop}: expected {quoted(flip.expected, 44)}"
    yield f"  asked {quoted_end(flip.prompt_tail, 88)}"
    if flip.error is not None:
        yield f"  error {quoted(flip.error, 88)}"
        return
    yield from _answers(flip, binary=binary)
    if flip.kind in _SHOW_END and len(flip.now) > 60:
        yield f"  ends  {quoted_end(flip.now, 88)}"


def _answers(flip: Flip, *, binary: bool) -> Iterator[str]:
    found = flip.first_difference
    unknown = "right" if binary else "not recorded"
    if flip.extracted_then is not None or flip.extracted_now is not None:
        then = flip.extracted_then if flip.extracted_then is not None else flip.then
        now = flip.extracted_now if flip.extracted_now is not None else flip.now
        yield f"  found {_then_and_now(then, now, unknown)}"
    elif not flip.generated and flip.then == flip.now:
        # The recorded choice is the main metric's; this may be another metric.
        yield f"  chosen as before {quoted(flip.now, 50)}{_swing(flip)}"
    elif found is None:
        yield f"  {_then_and_now(flip.then, flip.now, unknown)}{_swing(flip)}"
    if isinstance(found, Difference):
        yield f"  text  {_marked(found)}"
    elif found is not None:
        yield f"  text  {quoted(flip.now, 50)}: {found}"


def _then_and_now(then: str | None, now: str, unknown: str) -> str:
    return f"then {unknown if then is None else quoted(then, 34)}, now {quoted(now, 34)}"


def _swing(flip: Flip) -> str:
    return f", margin down by {flip.swing:.3g}" if flip.swing is not None and flip.swing > 0 else ""


def _marked(found: Difference) -> str:
    """Mark what was there as ``[-so-]`` and what is there now as ``{+so+}``; where one text ends, the other's rest."""
    before = spelled_end(found.before, 36)
    if not found.now:
        return f"{before}[-{spelled(found.then + found.after_then, 40)}-]"
    if not found.then:
        return f"{before}{{+{spelled(found.now + found.after_now, 40)}+}}"
    marks = f"[-{spelled(found.then, 16)}-]{{+{spelled(found.now, 16)}+}}"
    return f"{before}{marks}{spelled(found.after_now, 14)}"
