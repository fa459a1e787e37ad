from __future__ import annotations

import random
import re

import pytest

from pytest_lmeval.report.progress import ProgressLine, format_duration, format_progress, shorten


class Clock:
    """Seconds as told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_line() -> None:
    line = format_progress("rivers", 1204, 4000, 106_000, 31.07, width=80)
    assert line == "rivers  1,204/4,000 requests  3,412 tok/s  1:13 left"


@pytest.mark.parametrize(
    ("done", "tokens", "elapsed", "line"),
    [
        (0, 0, 0.0, "t  0/10 requests"),
        (0, 0, 5.0, "t  0/10 requests"),
        (5, 0, 0.0, "t  5/10 requests"),
        (5, 0, 5.0, "t  5/10 requests  0:05 left"),
        (10, 50, 5.0, "t  10/10 requests  10 tok/s"),
    ],
)
def test_nothing_is_guessed(done: int, tokens: int, elapsed: float, line: str) -> None:
    assert format_progress("t", done, 10, tokens, elapsed, width=80) == line


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (0.1, "0:01"), (59.5, "1:00"), (72, "1:12"), (7272, "2:01:12")]
)
def test_durations(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


def test_never_wider_than_asked() -> None:
    rng = random.Random(2)
    for _ in range(500):
        width, total = rng.randrange(120), rng.randrange(10**7)
        line = format_progress(
            "n" * rng.randrange(60), rng.randrange(total + 1), total, rng.randrange(10**9), 9.0, width=width
        )
        assert len(line) <= width


def test_the_label_gives_way_first() -> None:
    line = format_progress("a_long_task_name", 5, 10, 0, 5.0, width=37)
    assert line == "a_long_tas…  5/10 requests  0:05 left"
    assert format_progress("a_long_task_name", 5, 10, 0, 5.0, width=28) == "5/10 requests  0:05 left"


def test_labels_cannot_move_the_cursor() -> None:
    assert shorten("a\x1b[2Jb\n", 20) == "a?[2Jb?"
    assert shorten("größe", 20, unicode=False) == "gr??e"
    assert shorten("abcdefgh", 6, unicode=False) == "abcd.."


@pytest.mark.parametrize("width", [20, 80])
def test_a_terminal_line_is_rewritten_in_place_and_erased(width: int) -> None:
    clock, written = Clock(), list[str]()
    line = ProgressLine(written.append, tty=True, width=width, clock=clock)
    line.update("rivers", 1, 1000, 5)
    assert written == []  # nobody reads what is gone within a blink
    for done in (100, 200, 1000):
        clock.now += 1
        line.update("rivers" if done == 100 else "r", done, 1000, done)
        line.update("rivers", done, 1000, done)
    line.clear()
    line.clear()
    *shown, erased = written
    assert len(shown) == 3
    for text in shown:
        # Saved, written, the rest of the line erased, restored: the cursor is where it was.
        assert re.fullmatch(r"\x1b7[^\x1b\n\r]+\x1b\[K\x1b8", text)
        assert len(text) - len("\x1b7\x1b[K\x1b8") < width
    assert erased == "\x1b[K"


def test_a_log_gets_a_line_every_half_minute() -> None:
    clock, written = Clock(), list[str]()
    line = ProgressLine(written.append, tty=False, width=80, clock=clock)
    for second in range(1, 91):
        clock.now = 100.0 + second
        line.update("rivers", second, 100, second * 10)
    line.clear()
    assert written == [
        "\nrivers  30/100 requests  10 tok/s  1:10 left\n",
        "rivers  60/100 requests  10 tok/s  0:40 left\n",
        "rivers  90/100 requests  10 tok/s  0:10 left\n",
    ]


def test_cleared_for_other_output_and_shown_again() -> None:
    clock, written = Clock(), list[str]()
    line = ProgressLine(written.append, tty=True, width=40, clock=clock)
    line.clear()
    assert written == []
    clock.now += 1
    line.update("r", 1, 2, 0)
    line.clear()
    clock.now += 1
    line.update("r", 2, 2, 0)
    contents = [text.removeprefix("\x1b7").removesuffix("\x1b8").removesuffix("\x1b[K") for text in written]
    assert contents == ["r  1/2 requests  0:01 left", "", "r  2/2 requests"]
