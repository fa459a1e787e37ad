from __future__ import annotations

import dataclasses

import pytest

from benchmarks.gate.__main__ import main, measure
from benchmarks.gate.binary import rejection
from benchmarks.gate.families import FAMILIES
from benchmarks.gate.rows import FALSE_ALARM, POWER, Effort, Rate, Row
from benchmarks.gate.table import render
from pytest_lmeval.gate.statistics.binary import mid_p

ROW = Row(test="t", setting="s", what=FALSE_ALARM, alpha=0.05, rate=Rate(value=0.06, trials=100), at_most=0.05)


@pytest.fixture(scope="module")
def families() -> dict[str, list[Row]]:
    return {name: measure([name], Effort(quick=True)) for name in FAMILIES}


def test_every_rate_is_what_it_has_to_be(families: dict[str, list[Row]]) -> None:
    assert [row for rows in families.values() for row in rows if not row.holds] == []


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_promises_false_alarms_and_shows_power(families: dict[str, list[Row]], name: str) -> None:
    assert any(row.what == FALSE_ALARM and row.at_most == row.alpha for row in families[name])
    assert any(row.what == POWER for row in families[name])


def test_two_points_are_seen_in_1319_documents_of_which_three_percent_change() -> None:
    assert rejection(1319, 0.025, 0.005, 0.05) > 0.99
    assert rejection(1319, 0.025, 0.005, 0.01) > 0.98


def test_the_enumeration_agrees_with_a_simulation() -> None:
    random = Effort().random("check")
    changed = random.binomial(500, 0.05, 20_000)
    b = random.binomial(changed, 0.7)
    rate = Rate.of(mid_p(b, changed - b) < 0.05)
    assert abs(rejection(500, 0.035, 0.015, 0.05) - rate.value) < 4 * rate.error


def test_limits_allow_for_the_error_of_the_simulation() -> None:
    assert ROW.holds
    assert not dataclasses.replace(ROW, rate=Rate(value=0.06)).holds
    assert not dataclasses.replace(ROW, rate=Rate(value=0.2, trials=100)).holds
    assert not dataclasses.replace(ROW, rate=Rate(value=0.2, trials=100), at_most=None, at_least=0.9).holds
    assert dataclasses.replace(ROW, rate=Rate(value=0.9, trials=100), at_most=None).holds


def test_the_table() -> None:
    exact = dataclasses.replace(ROW, rate=Rate(value=0.08), at_least=0.01)
    assert render([ROW, exact]).splitlines()[2:] == [
        "| t | s | false alarm | 0.05 | 6.00 ± 2.37 | ≤ 5 |  |",
        "| t | s | false alarm | 0.05 | 8.00 (exact) | ≤ 5 and ≥ 1 | FAILS |",
    ]


def test_the_command_prints_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--quick", "--only", "binary"]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("| test | setting |")
    assert "n=1319, 3 % change, 2 points worse | power | 0.05 | 99.78 (exact) | ≥ 99" in printed.out
    assert printed.err.startswith("binary: ")
