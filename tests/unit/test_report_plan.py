from __future__ import annotations

import math

import pytest

from pytest_lmeval.report.plan import PlanRow, format_plan, short_number
from pytest_lmeval.report.terminal import plain_text

ROW = PlanRow(
    task="rivers",
    documents=200,
    total=10_042,
    requests=800,
    tokens=75_321,
    seconds=41.2,
    mde=0.0391,
    margin=0.01,
    remarks=("cannot see its margin",),
)
GROUP = PlanRow(task="waters", documents=8, total=8, mde=math.inf, margin=0.0)
BROKEN = PlanRow(task="lakes", problem="lakes: no such\ndata set \x1b[31m")


def lines(*rows: PlanRow, width: int = 80) -> list[str]:
    return [plain_text(line) for line in format_plan(rows, width=width, unicode=True)]


def test_the_table() -> None:
    assert lines(ROW, GROUP, BROKEN) == [
        "task     documents  requests  tokens  time     sees  margin",
        "rivers  200/10,042       800     75k  0:42   3.9 pp  1.0 pp",
        "waters           8         -       -     -  nothing  0.0 pp",
        "rivers: cannot see its margin",
        "lakes: no such data set ?[31m",
    ]


def test_only_problems() -> None:
    assert lines(BROKEN) == ["lakes: no such data set ?[31m"]


@pytest.mark.parametrize("width", [10, 60, 80])
def test_names_give_way_to_numbers(width: int) -> None:
    long = PlanRow(task="a_task_with_a_very_long_name_indeed", documents=123_456, total=1_234_567, requests=9_999_999)
    table = lines(ROW, long, width=width)[:3]
    assert all(len(line) <= width for line in table)
    if width >= 60:
        assert table[2].startswith("a_task_")
        assert "9,999,999" in table[2]


def test_problems_are_red_and_remarks_yellow() -> None:
    marked = {text: markup for line in format_plan([ROW, BROKEN], width=80, unicode=True) for text, markup in line}
    assert [markup for markup in marked.values() if markup] == [{"yellow": True}, {"red": True}]


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (7, "7"),
        (640, "640"),
        (999, "1.0k"),
        (1234, "1.2k"),
        (75_321, "75k"),
        (999_999, "1.0M"),
        (2.5e9, "2.5G"),
    ],
)
def test_estimates_have_two_digits(number: float, text: str) -> None:
    assert short_number(number) == text
