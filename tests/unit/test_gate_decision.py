"""The verdict machine, on binary metrics of which only the flips matter."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from pytest_lmeval.gate.decision import Decision, Outcome, bound_level, decide
from pytest_lmeval.gate.detecting import fewest_flips, smallest_drop
from pytest_lmeval.gate.evidence import Evidence, Levels
from pytest_lmeval.gate.layers import read_layer
from pytest_lmeval.gate.settings import Rules, resolve
from pytest_lmeval.gate.statistics.binary import mcnemar, mid_p
from pytest_lmeval.gate.statistics.combining import stratified


def rules(**said: object) -> Rules:
    return resolve([read_layer(said)])


def flips(lost: int, gained: int, n: int, by: Rules, **facts: Any) -> Evidence:
    estimate = mcnemar(lost, gained, n, alpha=bound_level(by))
    return Evidence(
        metric="acc",
        baseline=0.6,
        value=0.6 + estimate.difference,
        higher_is_better=True,
        estimate=estimate,
        detectable=0.0,
        regressed=lost,
        improved=gained,
        **facts,
    )


def decided(lost: int, gained: int, n: int, family: int = 1, looks: float | None = None, **said: object) -> Decision:
    by = rules(**said)
    evidence = flips(lost, gained, n, by)
    return decide(evidence, by, family=family, margin=by.margin.of(0.6), looks=looks)


@pytest.mark.parametrize(
    ("lost", "gained", "n", "said", "outcome", "failed", "warned"),
    [
        (52, 22, 1319, {}, Outcome.REGRESSED, True, False),
        (20, 20, 10_042, {}, Outcome.PASS, False, False),
        (22, 52, 1319, {}, Outcome.IMPROVED, False, False),
        (125, 50, 14_042, {}, Outcome.REGRESSED_WITHIN_MARGIN, False, True),
        (0, 0, 100, {}, Outcome.INCONCLUSIVE, False, True),
        (3, 2, 200, {}, Outcome.INCONCLUSIVE, False, True),
        (3, 2, 200, {"on_inconclusive": "pass"}, Outcome.INCONCLUSIVE, False, False),
        (3, 2, 200, {"preset": "strict"}, Outcome.INCONCLUSIVE, True, False),
        # Certain, and too small to be an effect.
        (60, 20, 20_000, {"margin": "0.1pp"}, Outcome.INCONCLUSIVE, False, True),
        (60, 20, 20_000, {"preset": "lossless"}, Outcome.REGRESSED, True, False),
        # Nothing can show that a model is not the least bit worse: without evidence of harm a margin of 0 passes.
        (20, 20, 1319, {"preset": "lossless"}, Outcome.PASS, False, False),
        # Enough documents to show an equal model harmless but for one run in twenty, and it is not shown.
        (60, 45, 4096, {"preset": "quantized"}, Outcome.PASS, False, False),
        (90, 55, 4096, {"preset": "quantized", "min_effect": "2pp"}, Outcome.INCONCLUSIVE, True, False),
        (8, 5, 200, {"preset": "quantized"}, Outcome.INCONCLUSIVE, False, True),
        # A single document in 200 is the whole difference between shown and not shown: by chance, in every second run.
        (1, 0, 200, {"preset": "finetune"}, Outcome.INCONCLUSIVE, False, True),
    ],
)
def test_the_machine(
    lost: int, gained: int, n: int, said: dict[str, Any], outcome: Outcome, failed: bool, warned: bool
) -> None:
    found = decided(lost, gained, n, **said)
    assert (found.outcome, found.failed, found.warned) == (outcome, failed, warned)


@given(st.integers(0, 40), st.integers(80, 6000), st.sampled_from(["quantized", "finetune"]), st.sampled_from([1, 20]))
@settings(max_examples=30, deadline=None)
def test_an_equal_model_fails_no_more_often_than_promised_however_many_documents_change(
    changed: int, n: int, preset: str, family: int
) -> None:
    found = [decided(lost, changed - lost, n, family, preset=preset) for lost in range(changed + 1)]
    chance = binom.pmf(range(changed + 1), changed, 0.5)
    failed = chance[[decision.failed for decision in found]].sum()
    # Given the number of changes, mid-p itself may be somewhat above its level; over all numbers it is not.
    regressed = chance[[decision.outcome is Outcome.REGRESSED for decision in found]].sum()
    assert failed <= max(0.05 / family, regressed) + 1e-12


def test_where_weights_make_the_estimate_its_own_bound_tells_what_suffices() -> None:
    by = rules(preset="quantized")
    for documents, fails in ((500, False), (50_000, True)):
        parts = [mcnemar(documents // 60, documents // 80, documents, alpha=0.05)] * 2
        weighted = stratified(parts, [3, 1], alpha=0.05)
        # As far below the margin as it takes, whatever the number of documents.
        low = replace(weighted, lower=-0.02, difference=weighted.difference + (-0.02 - weighted.lower), p_worse=1.0)
        evidence = replace(flips(1, 1, 2 * documents, by), estimate=low)
        found = decide(evidence, by, family=1, margin=0.01)
        assert (found.outcome, found.failed) == (Outcome.INCONCLUSIVE, fails)


def test_among_many_tests_more_is_needed() -> None:
    assert decided(40, 20, 1319).outcome is Outcome.REGRESSED
    among = decided(40, 20, 1319, family=20)
    assert (among.outcome, among.alpha) == (Outcome.INCONCLUSIVE, 0.01 / 20)


def test_the_looks_during_a_run_are_paid_for_and_count() -> None:
    assert decided(40, 20, 1319, alpha=0.006).outcome is Outcome.REGRESSED
    assert decided(40, 20, 1319, alpha=0.006, looks=1.0).outcome is not Outcome.REGRESSED
    assert decided(40, 20, 1319, alpha=0.006, looks=0.001).outcome is Outcome.REGRESSED
    assert decided(40, 20, 1319, looks=0.5).p == pytest.approx(decided(40, 20, 1319).p / 0.8)


def test_identical_answers_pass_however_few() -> None:
    by = rules()
    found = decide(flips(0, 0, 10, by), by, family=1, margin=0.01, identical=True)
    assert (found.outcome, found.warned) == (Outcome.PASS, False)


@pytest.mark.parametrize(
    ("bounds", "outcome"),
    [
        (((53, 22), (50, 24)), Outcome.REGRESSED),
        (((60, 22), (40, 40)), Outcome.INCONCLUSIVE),
    ],
)
def test_a_verdict_stands_only_whatever_the_missing_answers_are(
    bounds: tuple[tuple[int, int], tuple[int, int]], outcome: Outcome
) -> None:
    by = rules()
    worst, best = (mcnemar(*pair, 1322, alpha=bound_level(by)) for pair in bounds)
    evidence = flips(52, 22, 1319, by, missing=3, worst=worst, best=best)
    found = decide(evidence, by, family=1, margin=0.01)
    assert (found.outcome, found.bounded) == (outcome, outcome is Outcome.REGRESSED)


def test_missing_answers_without_a_bound_leave_it_open() -> None:
    by = rules()
    found = decide(flips(0, 0, 20_000, by, missing=1), by, family=1, margin=0.01)
    assert (found.outcome, found.bounded) == (Outcome.INCONCLUSIVE, False)


@given(st.integers(0, 60), st.integers(0, 60), st.integers(150, 3000), st.sampled_from(["0pp", "1pp", "3pp"]))
@settings(max_examples=60, deadline=None)
def test_one_more_lost_document_is_never_better(lost: int, gained: int, n: int, margin: str) -> None:
    order = [Outcome.IMPROVED, Outcome.PASS, Outcome.REGRESSED_WITHIN_MARGIN, Outcome.INCONCLUSIVE, Outcome.REGRESSED]
    before, after = (decided(lost + more, gained, n, margin=margin) for more in (0, 1))
    assert order.index(after.outcome) >= order.index(before.outcome)


def test_the_smallest_drop_is_never_below_the_fewest_flips_that_tell() -> None:
    levels = Levels(alpha=0.01, bound=0.05)
    by = rules()
    assert fewest_flips(0.01) == 6
    assert mid_p(6, 0) < 0.01 < mid_p(5, 0)
    assert smallest_drop(flips(0, 0, 1000, by), levels) == pytest.approx(0.006)
    # Five documents cannot lose six.
    assert smallest_drop(flips(0, 0, 5, by), levels) == math.inf
    assert smallest_drop(flips(2, 1, 5, by), levels) == math.inf
    assert smallest_drop(flips(33, 33, 1319, by), levels) == pytest.approx(0.0195, abs=1e-4)
    shaky = replace(flips(3, 2, 100, by), estimate=replace(mcnemar(3, 2, 100, alpha=0.05), clusters=4, stderr=None))
    assert smallest_drop(shaky, levels) == math.inf
    # All of six clusters to the worse are 1 of 64 ways, whatever their errors.
    for clusters, seen in ((4, False), (6, False), (7, True), (20, True)):
        few = replace(shaky, estimate=replace(mcnemar(3, 2, 100, alpha=0.05), clusters=clusters))
        assert math.isfinite(smallest_drop(few, levels)) is seen


def test_a_gate_that_cannot_see_its_margin_is_blind() -> None:
    by = rules()
    seen = replace(flips(3, 2, 200, by), detectable=0.03)
    assert decide(seen, by, family=1, margin=0.01).blind
    assert not decide(seen, by, family=1, margin=0.05).blind
    assert not decide(seen, by, family=1, margin=0.0).blind
