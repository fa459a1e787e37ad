"""The figures of docs/statistics.md are those of the gate's own functions."""

from __future__ import annotations

import math
from pathlib import Path

from pytest_lmeval.gate.statistics.binary import mid_p, tango_interval
from pytest_lmeval.gate.statistics.multiple import holm
from pytest_lmeval.gate.statistics.power import detectable_binary, documents_needed

PAGE = " ".join((Path(__file__).parents[2] / "docs" / "statistics.md").read_text(encoding="utf-8").split())
LOST, GAINED, N = 30, 12, 1000


def test_the_p_value() -> None:
    p = mid_p(LOST, GAINED)
    assert f"**p = {p:.4f}**, about 1 run of {round(1 / p, -1):.0f}" in PAGE
    assert f"{N - LOST - GAINED} documents say nothing" in PAGE


def test_the_p_value_had_the_questions_been_others() -> None:
    before, after = 0.720, 0.720 - (LOST - GAINED) / N
    assert f"{before:.1%}".replace("%", " %") in PAGE
    assert f"{after:.1%}".replace("%", " %") in PAGE
    z = (before - after) / math.sqrt((before * (1 - before) + after * (1 - after)) / N)
    assert f"p would be **{math.erfc(z / math.sqrt(2)) / 2:.2f}**" in PAGE


def test_the_interval() -> None:
    low, high = tango_interval(LOST, GAINED, N, 0.95)
    assert f"**from {100 * low:.1f} to {100 * high:.1f} points**" in PAGE


def test_what_could_have_been_seen() -> None:
    flips = (LOST + GAINED) / N
    assert f"{100 * detectable_binary(N, flips, alpha=0.01):.1f} points**" in PAGE
    assert f"**{documents_needed(0.01, flips, alpha=0.01):,} documents**" in PAGE


def test_several_tests() -> None:
    assert f"**{100 * (1 - 0.99**20):.0f} %** of runs" in PAGE
    adjusted = holm([mid_p(LOST, GAINED), 0.02, 0.3, 0.5])[0]
    assert f"becomes **{adjusted:.3f}**" in PAGE
    assert adjusted > 0.01
