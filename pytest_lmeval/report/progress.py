"""How far a run is: a line per task that is asked, what it says and how it stays at its place.

An area of a few lines below the cursor is written, and the cursor put back: whoever writes the line above, pytest,
goes on where it stopped. The screen is never owned: what others write in between may cover a line until it is written
anew.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

#: Seconds between two updates, on a terminal and in a log.
TTY_INTERVAL = 0.2
PLAIN_INTERVAL = 30.0

#: So many tasks are shown at a time.
MOST_LINES = 6

# Terminal control (ECMA-48 and DEC): one line down, scrolling where there is none, without moving sideways; up; keep
# the cursor's place and go back to it; to the beginning of the next line; erase to the end of the line or the screen.
_INDEX, _UP, _SAVE, _RESTORE, _NEXT = "\x1bD", "\x1b[{}A", "\x1b7", "\x1b8", "\x1b[E"
_ERASE_LINE, _ERASE_BELOW = "\x1b[K", "\x1b[J"

# A task is still recognized by so much of its name.
_NAME = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskProgress:
    """How far one task is.

    ``done`` of ``total`` documents, or ``unit``, are answered; ``failed`` requests had no answer. ``tokens`` and
    ``fresh``, of ``done``, are those of the last ``elapsed`` seconds, which is what rates are made of. ``cached`` of
    ``done`` came from a store of answers. ``score`` is the one so far of ``metric``, with its 95 % interval.
    """

    name: str
    done: int
    total: int
    unit: Literal["docs", "requests"] = "docs"
    fresh: float
    tokens: int
    elapsed: float
    failed: int = 0
    cached: int = 0
    metric: str | None = None
    score: float | None = None
    interval: tuple[float, float] | None = None


def format_progress(
    tasks: Sequence[TaskProgress], *, width: int, unicode: bool = True, most: int = MOST_LINES
) -> list[str]:
    """Spell how far each task is on a line of its own of at most ``width`` characters; ``most`` lines in all."""
    shown = tasks if len(tasks) <= most else tasks[: most - 1]
    longest = max((len(task.name) for task in shown), default=0)
    lines = [_line(task, longest, width, unicode) for task in shown]
    more = len(tasks) - len(shown)
    return [*lines, shorten(f"and {more:,} more tasks", width, unicode=unicode)] if more else lines


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


def _line(task: TaskProgress, longest: int, width: int, unicode: bool) -> str:
    """The name and what is known. Where room is short, what matters least goes first, then the end of the name."""
    parts = _parts(task)
    while len(parts) > 1 and _needed(parts) + 2 + min(longest, _NAME) > width:
        parts.remove(max(parts))
    numbers = "  ".join(text for _, text in sorted(parts, key=lambda part: _ORDER.index(part[0])))
    name = shorten(task.name, min(longest, width - len(numbers) - 2), unicode=unicode)
    padded = f"{name:<{min(longest, width - len(numbers) - 2)}}" if name else ""
    return (f"{padded}  {numbers}" if padded else numbers)[: max(width, 0)]


# What is told, by how soon it is left out, and in which order it stands.
_DONE, _FAILED, _LEFT, _SCORE, _RATE, _CACHE = range(6)
_ORDER = (_DONE, _SCORE, _FAILED, _RATE, _CACHE, _LEFT)


def _parts(task: TaskProgress) -> list[tuple[int, str]]:
    parts = [(_DONE, f"{task.done:,}/{task.total:,} {task.unit}")]
    if task.score is not None:
        parts.append((_SCORE, f"{task.metric} {_score(task.score, task.interval)}"))
    if task.failed:
        parts.append((_FAILED, f"{task.failed:,} failed"))
    if task.elapsed > 0 and task.tokens:
        parts.append((_RATE, f"{task.tokens / task.elapsed:,.0f} tok/s"))
    if task.cached and task.done:
        parts.append((_CACHE, f"cache {task.cached / task.done:.0%}"))
    if task.elapsed > 0 and task.fresh > 0 and task.done < task.total:
        parts.append((_LEFT, f"{format_duration(task.elapsed * (task.total - task.done) / task.fresh)} left"))
    return parts


def _needed(parts: Sequence[tuple[int, str]]) -> int:
    return sum(len(text) for _, text in parts) + 2 * (len(parts) - 1)


def _score(value: float, interval: tuple[float, float] | None) -> str:
    digits = 3 if abs(value) <= 1 else 2
    if interval is None:
        return f"{value:.{digits}f}"
    low, high = interval
    return f"{value:.{digits}f} [{low:.{digits}f},{high:.{digits}f}]"


class LiveArea:
    """Writes lines below the cursor, not more often than anybody reads them.

    On a terminal they are rewritten in place and erased at the end. Elsewhere they are written every half minute, below
    each other. ``clock`` counts seconds, ``write`` takes text as it is and should flush.
    """

    def __init__(
        self, write: Callable[[str], object], *, tty: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._write = write
        self._tty = tty
        self._clock = clock
        self._interval = TTY_INTERVAL if tty else PLAIN_INTERVAL
        self._last = clock()
        self._shown = self._begun = False

    def due(self) -> bool:
        """Whether it is time to show something again."""
        return self._clock() - self._last >= self._interval

    def begin(self) -> None:
        """Whatever is waited for begins now: the first lines come an interval later."""
        self._last = self._clock()

    def show(self, lines: Sequence[str]) -> None:
        """Write the lines, none of them wider than the terminal."""
        self._last = self._clock()
        if not lines:
            return
        if self._tty:
            room = _INDEX * len(lines) + _UP.format(len(lines))
            below = "".join(f"{_NEXT}{line}{_ERASE_LINE}" for line in lines)
            self._write(f"{_ERASE_LINE}{room}{_SAVE}{below}{_ERASE_BELOW}{_RESTORE}")
            self._shown = True
        else:
            # The first line ends the one that somebody else has begun.
            self._write("".join(f"{line}\n" for line in (lines if self._begun else ("", *lines))))
            self._begun = True

    def clear(self) -> None:
        """Erase the lines, so that something else can be written."""
        if self._shown:
            self._write(_ERASE_BELOW)
        self._shown = self._begun = False
