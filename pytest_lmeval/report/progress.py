"""The progress line: how far, how fast, how long still."""

from __future__ import annotations

import time
from collections.abc import Callable

#: Seconds between two updates, on a terminal and in a log.
TTY_INTERVAL = 0.2
PLAIN_INTERVAL = 30.0


# Terminal control (ECMA-48 and DEC): keep the cursor's place, go back to it, erase to the end of the line.
_SAVE, _RESTORE, _ERASE = "\x1b7", "\x1b8", "\x1b[K"


def format_progress(
    label: str, done: int, total: int, tokens: int, elapsed: float, *, width: int, unicode: bool = True
) -> str:
    """Spell the progress of ``done`` of ``total`` requests after ``elapsed`` seconds, in at most ``width`` characters.

    The label gives way first; what it labels is usually also in the line above.
    """
    parts = [f"{done:,}/{total:,} requests"]
    if elapsed > 0 and tokens:
        parts.append(f"{tokens / elapsed:,.0f} tok/s")
    if elapsed > 0 and 0 < done < total:
        parts.append(f"{format_duration(elapsed * (total - done) / done)} left")
    numbers = "  ".join(parts)
    name = shorten(label, width - len(numbers) - 2, unicode=unicode)
    return (f"{name}  {numbers}" if name else numbers)[: max(width, 0)]


def format_duration(seconds: float) -> str:
    """Spell a duration as ``1:12`` or ``2:01:12``; whole seconds, rounded up so that "0:00" is the end."""
    whole = -int(-seconds // 1)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def shorten(text: str, width: int, *, unicode: bool = True) -> str:
    """Cut a text to ``width`` characters, the last an ellipsis; control characters become ``?``."""
    safe = "".join(char if char.isprintable() and (unicode or char.isascii()) else "?" for char in text)
    if len(safe) <= width:
        return safe
    dots = "…" if unicode else ".."
    # Two letters and dots name nothing.
    return safe[: width - len(dots)] + dots if width >= len(dots) + 3 else ""


class ProgressLine:
    """Writes progress, not more often than anybody reads it.

    On a terminal it stands behind what is already on the line, is rewritten in place and erased at the end, so
    that whoever wrote the line goes on where they stopped; ``width`` is the room behind. Elsewhere a line of its
    own is written every half minute. ``clock`` counts seconds, ``write`` takes text as it is and should flush.
    """

    def __init__(
        self,
        write: Callable[[str], object],
        *,
        tty: bool,
        width: int,
        unicode: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._write = write
        self._tty = tty
        # A terminal's last column is left free: some go to the next line as soon as it is written.
        self._width = max(0, width - 1 if tty else width)
        self._unicode = unicode
        self._clock = clock
        self._start = self._last = clock()
        self._interval = TTY_INTERVAL if tty else PLAIN_INTERVAL
        self._shown = False

    def update(self, label: str, done: int, total: int, tokens: int) -> None:
        """Show that ``done`` of ``total`` requests are answered, with ``tokens`` tokens since the start."""
        now = self._clock()
        if now - self._last < self._interval:
            return
        self._last = now
        elapsed = now - self._start
        line = format_progress(label, done, total, tokens, elapsed, width=self._width, unicode=self._unicode)
        if self._tty:
            self._write(f"{_SAVE}{line}{_ERASE}{_RESTORE}")
        else:
            # The first line ends the one that somebody else has begun.
            self._write(f"{line}\n" if self._shown else f"\n{line}\n")
        self._shown = True

    def clear(self) -> None:
        """Erase the line, so that something else can be written; the next update shows it again."""
        if self._shown and self._tty:
            self._write(_ERASE)
            self._shown = False
