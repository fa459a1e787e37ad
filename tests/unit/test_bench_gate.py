from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import multinomial

from benchmarks.gate.__main__ import main, measure
from benchmarks.gate.binary import rejection
from benchmarks.gate.families import FAMILIES
from benchmarks.gate.rows import FALSE_ALARM, POWER, Effort, Rate, Row
from benchmarks.gate.table import render
from benchmarks.gate.verdicts import border, decided, preset, shares
from pytest_lmeval.gate.decision import Outcome
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


@pytest.mark.parametrize("name", ["default", "quantized", "strict", "lossless"])
def test_the_shares_of_verdicts_are_sums_over_all_outcomes(name: str) -> None:
    """Against every pair of counts, each judged by the gate."""
    n, changed, drop, rules = 150, 0.05, 0.02, preset(name)
    b, c = np.meshgrid(np.arange(40), np.arange(40), indexing="ij")
    chance = multinomial.pmf(
        np.stack([b, c, n - b - c], axis=-1), n, [(changed + drop) / 2, (changed - drop) / 2, 1 - changed]
    )
    judged = [[decided(x, y, n, rules) for y in range(40)] for x in range(40)]
    found = shares(n, changed, drop, rules)
    for outcome, share in ((Outcome.REGRESSED, found.regressed), (Outcome.INCONCLUSIVE, found.inconclusive)):
        here = np.array([[decision.outcome is outcome for decision in row] for row in judged])
        assert share == pytest.approx(chance[here].sum(), abs=1e-8)
    failed = np.array([[decision.failed for decision in row] for row in judged])
    assert found.failed == pytest.approx(chance[failed].sum(), abs=1e-8)
    assert found.passed + found.inconclusive + found.regressed == pytest.approx(1, abs=1e-8)


@given(st.integers(0, 50), st.integers(0, 49), st.integers(0, 60))
def test_a_border_is_found_from_any_guess(most: int, at: int, guess: int) -> None:
    assert border(lambda value: value >= at, guess, most) == min(at, most + 1)


def test_means_of_shares_have_an_error_of_their_own() -> None:
    rate = Rate.mean(np.array([0.2, 0.4]))
    assert rate.value == pytest.approx(0.3)
    assert rate.error == pytest.approx(0.1 / 2**0.5)


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
