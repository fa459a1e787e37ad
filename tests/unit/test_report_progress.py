from __future__ import annotations

import random
from dataclasses import replace

import pyte
import pytest

from pytest_lmeval.report.progress import LiveArea, TaskProgress, format_duration, format_progress, shorten
from pytest_lmeval.running_score import RunningScore

TASK = TaskProgress(
    name="rivers",
    done=1204,
    total=4000,
    fresh=1204.0,
    tokens=106_000,
    elapsed=31.07,
    metric="acc",
    score=0.4213,
    interval=(0.3937, 0.4495),
)
BARE = TaskProgress(name="t", done=5, total=10, unit="requests", fresh=5, tokens=0, elapsed=5.0)


def line(task: TaskProgress, width: int = 100, *, unicode: bool = True) -> str:
    (found,) = format_progress([task], width=width, unicode=unicode)
    return found


class Clock:
    """Seconds as told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_line() -> None:
    assert line(TASK, 80) == "rivers  1,204/4,000 docs  acc 0.421 [0.394,0.450]  3,412 tok/s  1:13 left"


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, "t  5/10 requests  0:05 left"),
        ({"elapsed": 0.0}, "t  5/10 requests"),
        ({"done": 0, "fresh": 0.0}, "t  0/10 requests"),
        ({"done": 10, "fresh": 10.0, "tokens": 50}, "t  10/10 requests  10 tok/s"),
        ({"fresh": 1.0}, "t  5/10 requests  0:25 left"),
        ({"failed": 3, "cached": 2}, "t  5/10 requests  3 failed  cache 40%  0:05 left"),
        ({"metric": "bleu", "score": 23.456}, "t  5/10 requests  bleu 23.46  0:05 left"),
    ],
)
def test_nothing_is_guessed(facts: dict[str, float], expected: str) -> None:
    assert line(replace(BARE, **facts)) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (0.1, "0:01"), (59.5, "1:00"), (72, "1:12"), (7272, "2:01:12")]
)
def test_durations(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


def test_never_wider_than_asked() -> None:
    rng = random.Random(2)
    for _ in range(500):
        width, total = rng.randrange(120), rng.randrange(1, 10**7)
        task = replace(TASK, name="n" * rng.randrange(60), done=rng.randrange(total + 1), total=total, failed=7)
        assert all(len(line) <= width for line in format_progress([task, TASK], width=width))


def test_what_matters_least_gives_way() -> None:
    task = replace(TASK, name="a_task_with_a_long_name", cached=602)
    assert line(task, 80) == "a_task_with_…  1,204/4,000 docs  acc 0.421 [0.394,0.450]  3,412 tok/s  1:13 left"
    assert line(task, 78) == "a_task_with_a_long_name  1,204/4,000 docs  acc 0.421 [0.394,0.450]  1:13 left"
    assert line(task, 50) == "a_task_with_a_long_n…  1,204/4,000 docs  1:13 left"
    assert line(task, 30) == "a_task_with…  1,204/4,000 docs"


def test_names_stand_below_each_other_and_many_tasks_are_counted() -> None:
    assert format_progress([replace(BARE, name="rivers"), BARE], width=60) == [
        "rivers  5/10 requests  0:05 left",
        "t       5/10 requests  0:05 left",
    ]
    lines = format_progress([BARE] * 20, width=60, most=3)
    assert lines == ["t  5/10 requests  0:05 left"] * 2 + ["and 18 more tasks"]


def test_labels_cannot_move_the_cursor() -> None:
    assert shorten("a\x1b[2Jb\n", 20) == "a?[2Jb?"
    assert shorten("größe", 20, unicode=False) == "gr??e"
    assert shorten("abcdefgh", 6, unicode=False) == "abcd.."


class Terminal:
    """A terminal of 30 columns that shows what was written, and a clock."""

    def __init__(self, lines: int = 6) -> None:
        self.screen = pyte.Screen(30, lines)
        self._stream = pyte.Stream(self.screen)
        self.clock = Clock()
        self.area = LiveArea(self.write, tty=True, clock=self.clock)

    def write(self, text: str) -> None:
        self._stream.feed(text)

    @property
    def shown(self) -> list[str]:
        lines = [line.rstrip() for line in self.screen.display]
        while lines and not lines[-1]:
            lines.pop()
        return lines


@pytest.mark.parametrize("above", [0, 1, 4, 5, 9])
def test_lines_stand_below_the_cursor_which_stays(above: int) -> None:
    terminal = Terminal()
    terminal.write("\r\n" * above + "tasks/rivers.yaml ")
    for number in range(3):
        terminal.area.show([f"rivers {number}", f"seas {number}"])
        assert terminal.shown[-3:] == ["tasks/rivers.yaml", f"rivers {number}", f"seas {number}"]
    terminal.area.show(["seas 3"])
    assert terminal.shown[-2:] == ["tasks/rivers.yaml", "seas 3"]
    terminal.area.clear()
    terminal.write(".\r\nnext")
    assert terminal.shown[-2:] == ["tasks/rivers.yaml .", "next"]


@pytest.mark.parametrize("above", [0, 9])
def test_what_others_write_is_never_erased(above: int) -> None:
    terminal = Terminal()
    terminal.write("\r\n" * above + "a ")
    terminal.area.show(["rivers 1", "seas 1"])
    # Somebody writes past the area, down to the last line of the screen.
    terminal.write("b\r\nsomething\r\nelse")
    terminal.area.clear()
    assert terminal.shown[-3:] == ["a b", "something", "else"]
    terminal.area.show(["rivers 2"])
    terminal.write("!")
    assert terminal.shown[-2:] == ["else!", "rivers 2"]


def test_a_window_made_narrower_keeps_nothing_behind() -> None:
    terminal = Terminal()
    terminal.write("a ")
    terminal.area.show(["rivers 1 " + "x" * 20])
    terminal.screen.resize(columns=15)
    terminal.area.show(["rivers 2"])
    terminal.area.clear()
    assert terminal.shown == ["a"]


def test_a_log_gets_lines_every_half_minute() -> None:
    clock, written = Clock(), list[str]()
    area = LiveArea(written.append, tty=False, clock=clock)
    for second in range(1, 91):
        clock.now = 100.0 + second
        if area.due():
            area.show([f"rivers {second}", "seas"])
    area.clear()
    assert written == ["\nrivers 30\nseas\n", "rivers 60\nseas\n", "rivers 90\nseas\n"]


def test_nobody_reads_what_is_gone_within_a_blink() -> None:
    terminal = Terminal()
    assert not terminal.area.due()
    terminal.clock.now += 0.3
    assert terminal.area.due()
    terminal.area.begin()
    assert not terminal.area.due()


def test_the_running_score_of_right_and_wrong_has_wilsons_interval() -> None:
    score = RunningScore()
    assert (score.mean, score.interval) == (None, None)
    for value in (1.0, 1.0, 0.0, 1.0):
        score.add({"f1": 0.5, "acc": value})
    assert (score.metric, score.n, score.mean) == ("acc", 4, 0.75)
    # Wilson 1927 by hand: (p + z²/2n ± z·√(p(1-p)/n + z²/4n²)) / (1 + z²/n) with z = 1.96.
    assert score.interval == pytest.approx((0.3006, 0.9544), abs=1e-4)


def test_the_running_score_of_other_values_has_the_interval_of_their_mean() -> None:
    score = RunningScore(["f1"])
    for value in (0.2, 0.4, 0.9):
        score.add({"acc": 1.0, "f1": value})
    score.add({})
    score.add({"f1": float("nan")})
    assert (score.metric, score.n) == ("f1", 3)
    assert score.mean == pytest.approx(0.5)
    half = 1.95996 * (0.13 / 3) ** 0.5
    assert score.interval == pytest.approx((0.5 - half, 0.5 + half), abs=1e-4)


def test_the_running_score_is_of_the_main_metric() -> None:
    score = RunningScore(["preset", "exact_match,strict"])
    score.add({"bleu/item": 3.0})
    assert score.mean is None
    score.add({"exact_match,loose": 1.0, "exact_match,strict": 0.0})
    assert f"{score.metric} {score.mean}" == "exact_match,strict 0.0"
    other = RunningScore()
    other.add({"f1": 1.0, "acc@letters": 0.0})
    assert other.metric == "acc@letters"
