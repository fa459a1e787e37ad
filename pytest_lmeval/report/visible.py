"""Texts with nothing hidden: whitespace where it is easily overlooked, control characters, the marks themselves.

Prompts and documents come from elsewhere: what is spelled here can be written to any terminal.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import groupby

from pytest_lmeval.report.terminal import Line, Segment

_PLAIN: Mapping[str, bool] = {}
_MARK = {"cyan": True}

# Where a space is easily overlooked: at the end of a line and in runs inside one; indentation is seen as it is.
_HIDDEN = re.compile(r" +\Z|(?<=\S) {2,}")
_LEADING = re.compile(r"\A +")
# A lone middle dot between letters is a letter (Catalan); elsewhere it could be taken for a space.
_LIKE_A_SPACE = re.compile(r"(?<![^\s·])·|·(?![^\s·])")
_LIKE_AN_ESCAPE = re.compile(r"\\(?=x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})")
_LIKE_AN_ASCII_ESCAPE = re.compile(r"\\(?=[nt]|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})")

_MARKS = {" ": "·", "\t": "→", "\n": "⏎"}
_ASCII_MARKS = {" ": r"\x20", "\t": r"\t", "\n": r"\n"}


def visible(text: str, *, unicode: bool) -> list[Line]:
    """Spell ``text``, one line for each of its own; every line but the last ends in the mark of its newline.

    Without ``unicode`` the result is ASCII, and escapes stand for the marks.
    """
    lines = text.split("\n")
    ended = [f"{line}\n" for line in lines[:-1]] + lines[-1:]
    return [_line(line, first=i == 0, unicode=unicode) for i, line in enumerate(ended)]


def visible_inline(text: str, *, unicode: bool) -> Line:
    """Spell ``text`` on a single line."""
    return tuple(segment for line in visible(text, unicode=unicode) for segment in line)


def legend(*, unicode: bool) -> str:
    """Say what the marks mean."""
    space, tab, newline = (_MARKS if unicode else _ASCII_MARKS).values()
    return f"{space} space at an end or in a run   {tab} tab   {newline} newline"


def _line(line: str, *, first: bool, unicode: bool) -> Line:
    spelled = groupby(_spelled(line, first=first, unicode=unicode), key=lambda piece: piece[1])
    return tuple(_segment("".join(text for text, _ in pieces), mark) for mark, pieces in spelled)


def _segment(text: str, mark: bool) -> Segment:
    return text, _MARK if mark else _PLAIN


def _spelled(line: str, *, first: bool, unicode: bool) -> Iterator[tuple[str, bool]]:
    """Yield each character's spelling and whether it is a mark."""
    marks = _MARKS if unicode else _ASCII_MARKS
    hidden, ambiguous = _hidden(line, first=first), _ambiguous(line, unicode=unicode)
    for position, char in enumerate(line):
        if char == " ":
            yield (marks[" "], True) if position in hidden else (" ", False)
        elif char in marks:
            yield marks[char], True
        elif position in ambiguous or not char.isprintable() or not (unicode or char.isascii()):
            yield _escaped(char), True
        else:
            yield char, False


def _hidden(line: str, *, first: bool) -> set[int]:
    patterns = (_HIDDEN, _LEADING) if first else (_HIDDEN,)
    text = line.removesuffix("\n")
    return {position for pattern in patterns for match in pattern.finditer(text) for position in range(*match.span())}


def _ambiguous(line: str, *, unicode: bool) -> set[int]:
    """Find what looks like a mark or an escape and is none."""
    patterns = (_LIKE_A_SPACE, _LIKE_AN_ESCAPE) if unicode else (_LIKE_AN_ASCII_ESCAPE,)
    found = {match.start() for pattern in patterns for match in pattern.finditer(line)}
    return found | {position for position, char in enumerate(line) if char in "→⏎"}


def _escaped(char: str) -> str:
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
