"""The terminal as pytest's own writer sees it: its width, its colours, its letters."""

from __future__ import annotations

from _pytest._io import TerminalWriter


def terminal() -> tuple[TerminalWriter, bool]:
    """Return a writer to standard output, and whether it takes letters beyond ASCII."""
    writer = TerminalWriter()
    return writer, "utf" in (getattr(writer._file, "encoding", None) or "").lower()


def width_of(writer: TerminalWriter) -> int:
    """Columns of the terminal."""
    return writer.fullwidth
