from __future__ import annotations

import math

import pytest

from pytest_lmeval.gate.layers import SETTING_KEYS, SettingError, read_layer, share
from pytest_lmeval.gate.margin import Margin, Unit
from pytest_lmeval.gate.settings import PRESETS, Consequence, Layer, Mode, Rules, resolve


@pytest.mark.parametrize(
    ("text", "margin"),
    [
        ("1pp", Margin(1.0)),
        (" 0.5 points ", Margin(0.5)),
        ("1 point", Margin(1.0)),
        ("2%", Margin(2.0, Unit.PERCENT)),
        (".5", Margin(0.5, Unit.OWN)),
        (0.01, Margin(0.01, Unit.OWN)),
        (3, Margin(3.0, Unit.OWN)),
    ],
)
def test_the_forms_of_a_margin(text: object, margin: Margin) -> None:
    assert Margin.parse(text) == margin
    assert Margin.parse(str(margin)) == margin


@pytest.mark.parametrize("text", ["", "-1pp", "1 percent", "1e-3", True, None, "nan", "1pp2"])
def test_what_is_no_margin(text: object) -> None:
    with pytest.raises(ValueError, match="expected points"):
        Margin.parse(text)


@pytest.mark.parametrize(
    ("margin", "baseline", "distance"),
    [
        ("1pp", 0.62, 0.01),
        ("1pp", -0.2, 0.01),
        ("1pp", 25.0, 0.25),  # no points on an open scale
        ("2%", 0.5, 0.01),
        ("2%", 20.0, 0.4),
        ("2%", 0.004, 0.0),  # a share of nothing forgives nothing
        ("2%", math.inf, 0.0),
        ("0.3", 20.0, 0.3),
    ],
)
def test_a_margin_in_the_metrics_unit(margin: str, baseline: float, distance: float) -> None:
    assert Margin.parse(margin).of(baseline) == pytest.approx(distance)


def test_the_presets_are_those_of_their_purposes() -> None:
    found = {name: resolve([Layer(preset=name)]) for name in PRESETS}
    assert {name: (rules.mode.value, rules.margin.number, rules.alpha) for name, rules in found.items()} == {
        "default": ("regression", 1.0, 0.01),
        "lossless": ("regression", 0.0, 0.01),
        "quantized": ("noninferiority", 1.0, 0.05),
        "finetune": ("noninferiority", 2.0, 0.05),
        "smoke": ("regression", 10.0, 0.001),
        "strict": ("noninferiority", 0.5, 0.01),
        "off": ("off", 1.0, 0.01),
    }
    assert {name for name, rules in found.items() if rules.on_drift is Consequence.FAIL} == {"lossless"}
    assert {name for name, rules in found.items() if rules.on_inconclusive is Consequence.FAIL} == {"strict"}


def test_later_layers_win_and_a_key_wins_over_its_preset() -> None:
    task = Layer(preset="quantized", margin=Margin(3.0), max_error_rate=0.2)
    assert resolve([task]).margin == Margin(3.0)
    assert resolve([task, Layer(alpha=0.02)]).margin == Margin(3.0)
    # A preset means the same whatever was said before it.
    stricter = resolve([task, Layer(preset="strict", alpha=0.02)])
    assert (stricter.preset, stricter.margin, stricter.alpha) == ("strict", Margin(0.5), 0.02)
    assert stricter.max_error_rate == 0.01


def test_noninferiority_fails_where_nothing_is_shown_unless_something_else_is_said() -> None:
    plain = Layer(mode=Mode.NONINFERIORITY)
    assert resolve([plain]).on_inconclusive is Consequence.FAIL
    assert resolve([Layer(mode=Mode.NONINFERIORITY, on_inconclusive=Consequence.WARN)]).on_inconclusive.value == "warn"
    assert resolve([Layer(preset="quantized")]).on_inconclusive is Consequence.AUTO


def test_every_setting_can_be_read_and_is_a_rule() -> None:
    values = {
        "preset": "strict",
        "mode": "regression",
        "margin": "2pp",
        "min_effect": "1%",
        "alpha": "2%",
        "alpha_warn": 0.1,
        "on_inconclusive": "auto",
        "on_drift": "fail",
        "max_error_rate": "5%",
        "floor": "confident",
    }
    assert set(values) == set(SETTING_KEYS) == set(Rules.__dataclass_fields__)
    rules = resolve([read_layer(values)])
    assert (rules.margin, rules.alpha, rules.alpha_warn, rules.max_error_rate) == (Margin(2.0), 0.02, 0.1, 0.05)


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("mode", "off!", "unknown value 'off!'; known: regression, noninferiority, off. Did you mean 'off'?"),
        ("alpha", 0, "expected a rate between 0 and 0.5, as in 0.01, found 0"),
        ("max_error_rate", "101%", "expected a share, as in 0.01 or 1%, found '101%'"),
        ("max_error_rate", True, "expected a share, as in 0.01 or 1%, found True"),
        ("preset", 3, "unknown value 3; known: default, "),
    ],
)
def test_a_setting_that_means_nothing(key: str, value: object, problem: str) -> None:
    with pytest.raises(SettingError) as caught:
        read_layer({key: value})
    assert caught.value.key == key
    assert caught.value.problem.startswith(problem)


@pytest.mark.parametrize(("text", "value"), [("1%", 0.01), ("0.5", 0.5), (0, 0.0), ("100%", 1.0), (".25", 0.25)])
def test_shares(text: object, value: float) -> None:
    assert share(text) == value
