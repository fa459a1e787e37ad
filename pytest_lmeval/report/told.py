"""The explanation of a verdict on a terminal: coloured, and wrapped where a window is looked at.

It comes as text, which is all that travels between processes. Its lines are of our own making, and what comes from
elsewhere is quoted in them, so that a line's beginning says what it is.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_lmeval.report.lines import GREEN, PLAIN, RED, Line, Segment

_BOLD: Mapping[str, bool] = {"bold": True}
_MARKS = re.compile(r"(\[-.*?-\]|\{\+.*?\+\})")
_MARKED = re.compile(r"  (then|now ) ")
_DOCUMENT = re.compile(r"document \d+[^:]*:")
_CAUSE = "likely cause:"
_COMMAND = "  pytest "


def told_lines(text: str, *, passed: bool, width: int | None = None) -> Iterator[Line]:
    """Colour an explanation, and wrap what is longer than ``width`` columns, where that is given.

    A command is never wrapped: it is there to be copied.
    """
    for number, line in enumerate(text.split("\n")):
        rows = [line] if line.startswith(_COMMAND) else wrapped(line, width)
        for at, row in enumerate(rows):
            yield _coloured(row, head=number == 0, first=at == 0, passed=passed)


def wrapped(line: str, width: int | None) -> list[str]:
    """Break a line between words, where a ``width`` is given; what follows is indented."""
    if width is None or len(line) <= width:
        return [line]
    indent = " " * (len(line) - len(line.lstrip()) + 2)
    return textwrap.wrap(line, max(width, 20), subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _coloured(row: str, *, head: bool, first: bool, passed: bool) -> Line:
    if head:
        return ((row, _BOLD if passed else RED),)
    if first and row.startswith(_CAUSE):
        return (_CAUSE, _BOLD), (row.removeprefix(_CAUSE), PLAIN)
    if first and (found := _DOCUMENT.match(row)):
        return (found[0], _BOLD), (row[found.end() :], PLAIN)
    if first and _MARKED.match(row):
        return tuple(_marked(part) for part in _MARKS.split(row) if part)
    return ((row, PLAIN),)


def _marked(part: str) -> Segment:
    if not _MARKS.fullmatch(part):
        return part, PLAIN
    return part, RED if part.startswith("[") else GREEN


@dataclass(frozen=True, slots=True)
class _Crash:
    """What pytest tells of a failure in one line: the sentence, and where the task stands."""

    path: str
    lineno: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.lineno}: {self.message}"


class Told:
    """An explanation in place of a traceback; as text it is the explanation as it is."""

    def __init__(self, text: str, path: str, line: int) -> None:
        self._text = text
        self.reprcrash = _Crash(path, line, text.split("\n", 1)[0])

    def __str__(self) -> str:
        """The explanation, for whoever writes it into a file."""
        return self._text

    def toterminal(self, tw: Any) -> None:
        """Write it to a terminal, as pytest asks for it; ``tw`` is its TerminalWriter."""
        for line in told_lines(self._text, passed=False, width=width_of(tw)):
            for text, markup in line:
                tw.write(text, **markup)
            tw.line()


def width_of(tw: Any) -> int | None:
    """How wide the window behind a TerminalWriter is; None of a file, whose lines are left whole for who searches."""
    isatty = getattr(tw._file, "isatty", None)
    return int(tw.fullwidth) if isatty is not None and isatty() else None
