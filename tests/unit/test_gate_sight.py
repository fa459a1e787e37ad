from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_lmeval.gate.flip_rates import PRIORS, expected_flip_rate, upper_bound
from pytest_lmeval.gate.margin import Margin
from pytest_lmeval.gate.policy import ModelPolicy, parse_gate
from pytest_lmeval.gate.prospect import prospect
from pytest_lmeval.gate.settings import PRESETS, Layer
from pytest_lmeval.gate.sight import Need, documents_for, in_points, sight, smallest_drop

from .test_baseline_format import baseline, choices, task


@pytest.mark.parametrize(
    ("documents", "psi", "alpha", "points"),
    [
        (200, 0.05, 0.05, 3.9),
        (500, 0.02, 0.05, 1.57),
        (1319, 0.03, 0.05, 1.18),
        (4096, 0.05, 0.05, 0.87),
        (10042, 0.10, 0.05, 0.78),
        (1319, 0.03, 0.01, 1.51),
        (14042, 0.05, 0.01, 0.60),
    ],
)
def test_smallest_drops_are_those_of_the_literature(documents: int, psi: float, alpha: float, points: float) -> None:
    assert 100 * smallest_drop(documents, psi, alpha=alpha) == pytest.approx(points, abs=0.011 if points < 3 else 0.06)


@given(documents=st.integers(20, 50_000), psi=st.floats(0.001, 0.9), alpha=st.floats(0.0001, 0.2))
def test_the_smallest_drop_is_the_one_that_takes_these_documents(documents: int, psi: float, alpha: float) -> None:
    drop = smallest_drop(documents, psi, alpha=alpha)
    if math.isfinite(drop):
        assert documents_for(drop, psi, alpha=alpha) <= documents
        assert documents_for(drop * 0.999, psi, alpha=alpha) >= documents


def test_a_drop_beyond_the_flip_rate_is_seen_by_flips_of_its_own() -> None:
    """With psi at its limit every flip would have to be a regression, and two of 200 are no evidence."""
    drop = smallest_drop(200, 0.01, alpha=0.05)
    assert drop > 0.02
    from scipy.stats import binom

    fewest = next(b for b in range(20) if 0.5 * 0.5**b < 0.05)
    assert binom.sf(fewest - 1, 200, drop) >= 0.8


def test_a_handful_of_documents_sees_nothing() -> None:
    assert smallest_drop(3, 0.05, alpha=0.01) == math.inf
    assert smallest_drop(0, 0.05, alpha=0.01) == math.inf


def test_a_gate_that_cannot_see_its_margin_says_so() -> None:
    blind = sight(200, 0.05, alpha=0.05, margin=0.01)
    assert not blind.sees_margin
    assert blind.sentence == "cannot see its margin of 1.0 points: needs 3,090 documents, has 200"
    seeing = sight(3090, 0.05, alpha=0.05, margin=0.01)
    assert seeing.sees_margin
    assert seeing.sentence == ""
    assert seeing.mde == pytest.approx(0.01, abs=1e-5)


def test_no_number_of_documents_sees_a_margin_of_nothing() -> None:
    assert (sight(10, 0.05, alpha=0.05, margin=0).needed, sight(10, 0.05, alpha=0.05, margin=0).sentence) == (None, "")


def test_what_is_seen_in_place_of_what_was_asked_for() -> None:
    need = Need(drop=0.01, flip_rate=0.05, alpha=0.05)
    assert need.documents == 3090
    assert need.shortfall(3090) == ""
    assert need.shortfall(200) == (
        "a drop of 1.0 points takes 3,090 documents, there are 200: drops from 3.9 points on can be seen"
    )
    assert need.shortfall(2).endswith("there are 2: no drop can be seen")


@pytest.mark.parametrize(
    ("value", "text"), [(0.01, "1.0 points"), (0.005, "0.5 points"), (0.0012, "0.12 points"), (0.138, "13.8 points")]
)
def test_points(value: float, text: str) -> None:
    assert in_points(value) == text


def test_every_preset_has_a_prior() -> None:
    assert PRIORS.keys() == PRESETS.keys()


def test_repeated_runs_tell_the_flip_rate() -> None:
    from scipy.stats import beta

    told = expected_flip_rate("lossless", (10, 14, 12), 1000)
    assert told.calibrated
    assert told.value == pytest.approx(beta.ppf(0.95, 12 + 1, 1000 - 12), abs=1e-9)
    assert expected_flip_rate("lossless", (0, 0), 1000).value == PRIORS["lossless"]
    assert expected_flip_rate("default").value == 0.05
    assert upper_bound(7, 7) == 1


def test_a_changed_model_flips_more_than_repetition_does() -> None:
    assert expected_flip_rate("quantized", (2,), 1000).value == PRIORS["quantized"]
    assert expected_flip_rate("quantized", (200,), 1000).value > 0.2


def test_the_error_rate_is_shared() -> None:
    policy = ModelPolicy()
    alone = prospect(policy, None, family=1, main="acc")
    shared = prospect(policy, None, family=10, main="acc")
    assert alone.alpha == 0.01
    assert shared.alpha == pytest.approx(0.001)
    assert shared.sight(1000).mde > alone.sight(1000).mde


def test_margins_before_a_run() -> None:
    def margin(policy: ModelPolicy) -> float | None:
        return prospect(policy, None, family=1, main="acc").margin

    assert margin(ModelPolicy()) == 0.01
    assert margin(parse_gate({"acc": {"margin": "3pp"}, "acc_norm": {"margin": "4pp"}}).general) == 0.03
    # What a share of the baseline is, only a baseline tells.
    assert margin(ModelPolicy().under([Layer(margin=Margin.parse("2%"))])) is None
    assert margin(ModelPolicy().under([Layer(margin=Margin.parse("0.02"))])) == 0.02


def test_a_margin_of_a_share_is_one_of_the_baseline() -> None:
    policy = ModelPolicy().under([Layer(margin=Margin.parse("2%"))])
    recorded = baseline(task(choices(40)))
    metric = recorded.metric(recorded.main_metric)
    assert metric is not None
    half = replace(recorded, metrics=(replace(metric, value=0.5),))
    assert prospect(policy, half, family=1, main="").margin == pytest.approx(0.01)


def test_published_scores_show_far_less_than_documents_do() -> None:
    unpaired = prospect(ModelPolicy().under([Layer(alpha=0.05)]), None, family=1, main="acc", paired=False)
    # TensorRT-LLM's theta for 1319 documents.
    assert 100 * unpaired.sight(1319).mde == pytest.approx(4.84, abs=0.02)
