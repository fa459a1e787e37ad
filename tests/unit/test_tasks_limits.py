from __future__ import annotations

import math
import random
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_lmeval.errors import SettingsError
from pytest_lmeval.tasks.limits import Limit

from .making import CHOICE_ROWS, asked, call_of, small_task


def chosen(text: str | float, total: int, seed: int = 1234, task: str = "t") -> list[int]:
    return list(Limit.parse(text).choose(total, seed=seed, task=task))


@pytest.mark.parametrize(
    ("text", "total", "count"),
    [
        (10, 100, 10),
        ("11", 100, 11),
        ("200", 100, 100),
        ("10%", 95, 10),
        ("0.5%", 100, 1),
        ("100%", 7, 7),
        (0.1, 95, 10),
        ("0.001", 50, 1),
        (1, 50, 1),
        (1.0, 50, 1),
        ("first:3", 50, 3),
        ("first:10%", 55, 6),
        ("first:0.5", 9, 5),
        (" 7 ", 50, 7),
    ],
)
def test_how_many(text: str | float, total: int, count: int) -> None:
    assert len(chosen(text, total)) == count


def test_a_share_counts_as_the_reference_counts() -> None:
    stream = random.Random(5)
    shares = [round(stream.random(), 3) for _ in range(2000)]
    totals = [stream.randrange(1, 15_000) for _ in shares]
    assert [Limit.parse(s).count(n) for s, n in zip(shares, totals, strict=True) if s] == [
        math.ceil(n * s) for s, n in zip(shares, totals, strict=True) if s
    ]


def test_the_head_is_the_head_and_everything_is_in_order() -> None:
    assert chosen("first:4", 100) == [0, 1, 2, 3]
    assert chosen("100%", 5) == [0, 1, 2, 3, 4]
    assert chosen("300", 5) == [0, 1, 2, 3, 4]


def test_a_sample_is_ascending_spread_and_of_one_seed_and_task() -> None:
    sample = chosen("20", 1000)
    assert sample == sorted(set(sample))
    assert sample != list(range(20))
    assert max(sample) > 500
    assert sample == chosen("2%", 1000) == chosen("20", 1000)
    assert sample != chosen("20", 1000, seed=1)
    assert sample != chosen("20", 1000, task="other")


def test_a_sample_is_the_same_in_another_process() -> None:
    """Hash randomisation, global seeds and what ran before must not reach it."""
    random.seed(99)
    code = (
        "import random; random.seed(5); random.random(); from pytest_lmeval.tasks.limits import Limit;"
        "print(list(Limit.parse('5').choose(1000, seed=1234, task='t')))"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.strip() == str(chosen("5", 1000))


@pytest.mark.parametrize(
    "text", ["", "0", "-3", "0%", "ten", "1e3", "first:", "last:3", "2.5", "101%", "150.5%", "nan", "10 %", "first:0"]
)
def test_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="limit: "):
        Limit.parse(text)


def test_prompts_do_not_depend_on_the_limit(tmp_path: Path) -> None:
    rows = [{**row, "question": f"{row['question']} {i}"} for i in range(20) for row in CHOICE_ROWS]
    spec = small_task(tmp_path, {"training_split": "train"}, rows, train=rows[:9])
    everything = [call_of(request) for request in asked(spec, num_fewshot=3)]
    limited = [call_of(request) for request in asked(spec, num_fewshot=3, limit=Limit.parse("7"))]
    assert len(set(everything)) == len(everything)
    assert 14 <= len(limited) < len(everything)
    assert set(limited) < set(everything)
