"""The account as lines for a terminal: plain text of at most 80 columns, everything untrusted in it escaped."""

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
COLUMNS = 80
#: Flips and slices that are shown unless there is reason for more, and slices that are where these are asked for.
SHOWN_FLIPS, SHOWN_SLICES = 3, 3
MORE_SLICES = 12
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
# What is quoted alone behind a word.
_WIDE = COLUMNS - 8
# Where the end of an answer shows what became of it.
_SHOW_END = {Kind.TRUNCATED, Kind.REPETITION, Kind.NOT_EXTRACTED}


def account_lines(account: Account, *, verbosity: int) -> list[str]:
    """Spell the account.

    With ``verbosity`` 0 (the default of pytest) three documents and the slices that stand out; with 1 the slices, too,
    that do not, as far as they are no crowd; from 2 on all slices and documents. No lines where nothing got worse.
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
    lines = textwrap.wrap(text, width, subsequent_indent="  ", break_on_hyphens=False)
    # Whoever reads a log of GitHub's obeys a line that begins with two colons, however far it is indented.
    return [line.replace("::", r"\x3a:", 1) if line.lstrip().startswith("::") else line for line in lines]


def _slices(account: Account, verbosity: int) -> Iterator[str]:
    found = account.breakdown
    limit = len(found.slices) if verbosity >= _ALL else MORE_SLICES if verbosity else SHOWN_SLICES
    shown = found.slices if verbosity else found.outstanding
    for part in shown[:limit]:
        yield from _wrapped(_slice(part, account))
    if verbosity and len(shown) > limit:
        yield f"{len(shown) - limit:,} more slices, all shown with -vv"
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
    limit = len(account.flips) if verbosity >= _ALL else SHOWN_FLIPS
    for flip in account.flips[:limit]:
        yield from _flip(flip, binary=account.measure.binary)
    if len(account.flips) > limit:
        yield f"{len(account.flips) - limit:,} more, all shown with -vv"


def _flip(flip: Flip, *, binary: bool) -> Iterator[str]:
    kind = "" if flip.kind is Kind.WRONG else f" ({flip.kind})"
    drop = "" if binary or flip.drop is None else f", worse by {flip.drop:.3g}"
    yield f"document {flip.index}{kind}{drop}: expected {quoted(flip.expected, 30)}"
    yield f"  asked {quoted_end(flip.prompt_tail, _WIDE)}"
    if flip.error is not None:
        yield f"  error {quoted(flip.error, _WIDE)}"
        return
    unknown = "right" if binary else "not recorded"
    yield from _written(flip, unknown) if flip.generated else _chosen(flip, unknown)
    if flip.kind in _SHOW_END and len(flip.now) > 60:
        yield f"  ends  {quoted_end(flip.now, _WIDE)}"


def _chosen(flip: Flip, unknown: str) -> Iterator[str]:
    then, now = flip.margins
    if flip.then == flip.now:
        # The recorded choice is the main metric's; this may be another metric.
        moved = f", margin {then:+.2f} then, {now:+.2f} now" if then is not None and now is not None else ""
        yield f"  chosen as before {quoted(flip.now, 28)}{moved}"
    else:
        yield f"  then  {_old(flip.then, unknown, 54)}{_margin(then)}"
        yield f"  now   {quoted(flip.now, 54)}{_margin(now)}"
    if flip.logprobs is not None and flip.now != flip.expected:
        chosen, expected = flip.logprobs
        yield f"  log p {quoted(flip.now, 24)} {chosen:.4g}, {quoted(flip.expected, 24)} {expected:.4g}"


def _margin(value: float | None) -> str:
    return "" if value is None else f", margin {value:+.2f}"


def _written(flip: Flip, unknown: str) -> Iterator[str]:
    found = flip.first_difference
    if flip.extracted_then is not None or flip.extracted_now is not None:
        then = flip.extracted_then if flip.extracted_then is not None else flip.then
        now = flip.extracted_now if flip.extracted_now is not None else flip.now
        yield f"  found then {_old(then, unknown, 28)}, now {quoted(now, 28)}"
    elif found is None:
        yield f"  then  {_old(flip.then, unknown, _WIDE)}"
        yield f"  now   {quoted(flip.now, _WIDE)}"
    if isinstance(found, Difference):
        yield from _marked(found)
    elif found is not None:
        yield f"  text  {quoted(flip.now, 28)}: {found}"


def _old(then: str | None, unknown: str, width: int) -> str:
    return unknown if then is None else quoted(then, width)


def _marked(found: Difference) -> Iterator[str]:
    """Write both texts from shortly before they part, and mark what was there ``[-so-]`` and what is there ``{+so+}``.

    Where one text ends, the rest of the other is marked.
    """
    before = spelled_end(found.before, 30)
    yield f"  then  {before}{_side(found.then, found.after_then, _ends(before, found.now), '[-', '-]')}"
    yield f"  now   {before}{_side(found.now, found.after_now, _ends(before, found.then), '{+', '+}')}"


def _ends(before: str, other: str) -> tuple[int, bool]:
    """How many columns are left behind what both texts share, and whether the other text ends there."""
    return _WIDE - columns(before), not other


def _side(differing: str, after: str, ends: tuple[int, bool], start: str, end: str) -> str:
    room, other_ends = ends
    if not differing:
        return ""
    if other_ends:
        return f"{start}{spelled(differing + after, room - 4)}{end}"
    marked = f"{start}{spelled(differing, 20)}{end}"
    return marked + spelled(after, room - columns(marked))
