"""Lines of text with colours, for whoever has a terminal."""

from __future__ import annotations

from collections.abc import Mapping

#: A piece of a line and the keyword arguments for TerminalWriter.write, as in ``{"red": True}``.
Segment = tuple[str, Mapping[str, bool]]
Line = tuple[Segment, ...]

PLAIN: Mapping[str, bool] = {}
RED: Mapping[str, bool] = {"red": True, "bold": True}
GREEN: Mapping[str, bool] = {"green": True}
YELLOW: Mapping[str, bool] = {"yellow": True}


def plain_text(line: Line) -> str:
    """Give a line without its colours."""
    return "".join(text for text, _ in line)
