"""Texts in a frame: every line behind a bar, long ones shortened in the middle, nothing hidden."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pytest_lmeval.report.terminal import Line
from pytest_lmeval.report.visible import visible, visible_inline

#: Characters of one text that are shown; all of them with ``verbose``.
TEXT_LIMIT = 6_000

PLAIN: Mapping[str, bool] = {}
FAINT = {"light": True}
_GOLD = {"green": True, "bold": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """Whether the stream can show more than ASCII, and whether everything is shown."""

    unicode: bool
    verbose: bool

    def inline(self, text: str) -> Line:
        """Spell a text on one line."""
        return visible_inline(text, unicode=self.unicode)

    def aside(self, text: str) -> Line:
        """Stand for something that is not shown."""
        return ((f"    … {text} …" if self.unicode else f"    ... {text} ...", FAINT),)

    def gutter(self, label: str = "", *, width: int = 0, gold: bool = False) -> Line:
        """Begin a line of a text: a label of ``width``, and the bar."""
        bar = ("│ " if self.unicode else "| ", FAINT)
        if not width:
            return (("    ", PLAIN), bar)
        return ((f"    {label:>{width}} ", _GOLD if gold else PLAIN), bar)

    def block(self, text: str, gutter: Line | None = None, *, limit: int | None = None) -> Iterator[Line]:
        """Spell a text behind ``gutter``, of which further lines repeat only the bar."""
        gutter = gutter or self.gutter()
        limit = limit or (len(text) if self.verbose else TEXT_LIMIT)
        hidden = len(text) - limit
        if not text:
            yield (*gutter, ("(empty)", FAINT))
        elif hidden <= 0:
            yield from self._rows(text, gutter)
        else:
            # The end of a prompt says more than its middle.
            yield from self._rows(text[: limit - limit // 3], gutter)
            yield self.aside(f"{hidden:,} characters{'' if self.verbose else ', shown with -v'}")
            yield from self._rows(text[-(limit // 3) :], _blank(gutter))

    def _rows(self, text: str, gutter: Line) -> Iterator[Line]:
        for number, line in enumerate(visible(text, unicode=self.unicode)):
            yield (*(_blank(gutter) if number else gutter), *line)


def title(text: str) -> Line:
    """Say what follows."""
    return ((f"  {text}", FAINT),)


def _blank(gutter: Line) -> Line:
    """The gutter of a text's further lines: as wide, without the label."""
    (label, _), bar = gutter
    return (" " * len(label), PLAIN), bar
