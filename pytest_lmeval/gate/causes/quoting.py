r"""Untrusted text on one line of a terminal: escaped, and cut to columns.

Answers, prompts and documents come from elsewhere. Whatever is not printable (control and format characters, line
ends, lone surrogates, spaces that look like others) becomes ``\x..``, as in ``repr``.
"""

from __future__ import annotations

import unicodedata

_MORE = "..."
# What was there is marked as [-so-], what is there now as {+so+}.
_OPENING, _CLOSING = {"-": "[", "+": "{"}, {"-": "]", "+": "}"}


def columns(text: str) -> int:
    """How many columns of a terminal printable text takes: two for wide characters, none for combining ones."""
    return sum(_columns(char) for char in text)


def quoted(text: str, width: int) -> str:
    """Quote the beginning of ``text`` in at most ``width`` columns; ``...`` stands for a rest."""
    # A character takes a column or belongs to one that does: of a megabyte only this much is looked at.
    count = min(len(text), width)
    while count and columns(_quoted_head(text, count)) > width:
        count -= 1
    return _quoted_head(text, count)


def quoted_end(text: str, width: int) -> str:
    """Quote the end of ``text`` in at most ``width`` columns; ``...`` stands for what precedes it."""
    count = min(len(text), width)
    while count and columns(_quoted_tail(text, count)) > width:
        count -= 1
    return _quoted_tail(text, count)


def spelled(text: str, width: int) -> str:
    """Spell the beginning of ``text`` without quotes in at most ``width`` columns."""
    return _fitted(text[:width], len(text) > width, width)


def spelled_end(text: str, width: int) -> str:
    """Spell the end of ``text`` without quotes in at most ``width`` columns."""
    pieces = _pieces(text[-width:])
    whole = len(text) <= width and columns("".join(pieces)) <= width
    while not whole and pieces and columns("".join(pieces)) + len(_MORE) > width:
        pieces.pop(0)
    return "".join(pieces) if whole else _MORE + "".join(pieces)


def _fitted(text: str, longer: bool, width: int) -> str:
    pieces = _pieces(text)
    whole = not longer and columns("".join(pieces)) <= width
    while not whole and pieces and columns("".join(pieces)) + len(_MORE) > width:
        pieces.pop()
    return "".join(pieces) if whole else "".join(pieces) + _MORE


def _quoted_head(text: str, count: int) -> str:
    return repr(text[:count]) + (_MORE if count < len(text) else "")


def _quoted_tail(text: str, count: int) -> str:
    return (_MORE if count < len(text) else "") + repr(text[len(text) - count :])


def _pieces(text: str) -> list[str]:
    """Escape each character. What would look like a mark of ours, as ``{+this+}``, is no mark."""
    pieces = [_escaped(char) for char in text]
    for at, char in enumerate(text):
        if char in _OPENING and (text[at - 1 : at] == _OPENING[char] or text[at + 1 : at + 2] == _CLOSING[char]):
            pieces[at] = f"\\x{ord(char):02x}"
    return pieces


def _escaped(char: str) -> str:
    return char if char.isprintable() and char != "\\" else repr(char)[1:-1]


def _columns(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
