from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest

from pytest_lmeval.gate.statistics.binary import mcnemar
from pytest_lmeval.gate.statistics.continuous import paired_t
from pytest_lmeval.gate.suite import POOLED, Entry, SuiteStatus, judge_suite


def member(task: str, lost: int, gained: int, n: int = 1319, **changes: Any) -> Entry:
    estimate = mcnemar(lost, gained, n, alpha=0.05)
    entry = Entry(
        task=task,
        metric="acc",
        p=estimate.p_worse,
        estimate=estimate,
        alpha=0.01,
        alpha_warn=0.05,
        margin=0.0,
        beyond=estimate.difference < 0,
        failed=False,
        fraction=True,
        regressed=lost,
        improved=gained,
    )
    return replace(entry, **changes)


def test_nothing_compared_is_no_verdict() -> None:
    assert judge_suite([]) is None
    assert judge_suite([member("leaf", 50, 10, leaf_of="group")]) is None


def test_equal_models_pass_and_say_what_was_seen() -> None:
    verdict = judge_suite([member("a", 20, 22), member("b", 15, 15)])
    assert verdict is not None
    assert verdict.status is SuiteStatus.PASS
    assert verdict.sentences == (
        "all tasks together moved by +0.08 points over 2,638 documents; 3 tests, none suspect",
    )
    assert set(verdict.adjusted) == {"a acc", "b acc", POOLED}


def test_an_item_that_failed_fails_the_run_without_a_further_word() -> None:
    verdict = judge_suite([member("a", 70, 20, failed=True)])
    assert verdict is not None
    assert (verdict.status, verdict.failed, verdict.sentences) == (SuiteStatus.REGRESSED, True, ())


def test_a_run_that_fails_is_not_told_that_nothing_is_suspect() -> None:
    verdict = judge_suite([member("a", 10, 0, failed=True, p=1e-4), member("b", 10, 25)])
    assert verdict is not None
    assert verdict.status is SuiteStatus.REGRESSED
    assert verdict.sentences[0].endswith("; 3 tests, 1 failed")


def test_documents_count_once_however_many_metrics_are_gated() -> None:
    metrics = [member("a", 8, 2, metric=f"acc{i}") for i in range(5)]
    verdict = judge_suite(metrics)
    assert verdict is not None
    # One task is no more than its own documents.
    assert verdict.pooled is None
    assert verdict.status is SuiteStatus.PASS
    more = judge_suite([*metrics, member("b", 8, 2)])
    assert more is not None
    assert more.pooled is not None
    assert more.pooled.n == 2 * 1319


def test_a_task_of_which_nothing_can_be_concluded_is_not_pooled() -> None:
    few = member("few", 30, 0, 60)
    few = replace(few, estimate=replace(few.estimate, clusters=3, lower=-math.inf, p_worse=1.0), p=1.0, beyond=True)
    verdict = judge_suite([few, member("a", 10, 10), member("b", 10, 10)])
    assert verdict is not None
    assert verdict.pooled is not None
    assert verdict.pooled.n == 2 * 1319
    assert verdict.status is SuiteStatus.PASS


def test_holm_finds_what_bonferroni_let_pass() -> None:
    # Alone 0.0008: not below 0.01 over 13, but below 0.01 over the 12 that are left after the first.
    first, second = member("a", 80, 20, failed=True), member("b", 36, 14, p=0.00081)
    others = [member(f"c{i}", 15, 15) for i in range(10)]
    verdict = judge_suite([first, second, *others])
    assert verdict is not None
    assert verdict.adjusted["b acc"] == pytest.approx(0.00081 * 11)
    assert verdict.sentences[0].startswith("b acc regressed among 13 tests (adjusted p = 0.0089)")


def test_what_would_have_failed_alone_is_told_and_is_suspect() -> None:
    verdict = judge_suite([member("a", 38, 18), *(member(f"c{i}", 15, 15) for i in range(2))])
    assert verdict is not None
    assert verdict.status is SuiteStatus.SUSPECT
    told = "\n".join(verdict.sentences)
    assert "a acc alone would have failed (p = 0.0038); among 4 tests it does not (adjusted p = 0.015)" in told
    assert "a acc is suspect" in told


def test_a_drop_that_is_the_same_everywhere_is_seen() -> None:
    many = [member(f"t{i}", 30, 21, 2000) for i in range(12)]  # 0.45 points each, none of them significant
    assert all(entry.p > 0.05 for entry in many)
    verdict = judge_suite(many)
    assert verdict is not None
    assert verdict.status is SuiteStatus.REGRESSED
    assert verdict.sentences[0].startswith("all tasks together lost 0.45 points over 24,000 documents (adjusted p = ")
    # A margin allows it, and it is told all the same.
    allowed = judge_suite([replace(entry, margin=0.01, beyond=True) for entry in many])
    assert allowed is not None
    assert allowed.status is SuiteStatus.SUSPECT
    assert "within the margin of 1.00 points" in allowed.sentences[0]


def test_leaves_are_left_to_their_group() -> None:
    group = member("group", 60, 50, 4000)
    leaves = [member("x", 40, 10, 2000, leaf_of="group"), member("y", 20, 40, 2000, leaf_of="group")]
    verdict = judge_suite([group, *leaves])
    assert verdict is not None
    assert verdict.status is SuiteStatus.PASS
    assert set(verdict.adjusted) == {"group acc"}
    assert verdict.leaves["x acc"] < 0.001 < verdict.leaves["y acc"]


def test_shares_that_are_no_flips_and_other_scales() -> None:
    import numpy as np

    estimate = paired_t(np.random.default_rng(1).normal(0, 0.1, 500), alpha=0.05, seed=1)
    f1 = member("f", 0, 0, regressed=None, improved=None, estimate=estimate, p=estimate.p_worse, beyond=False)
    perplexity = replace(f1, task="p", fraction=False)
    verdict = judge_suite([member("a", 20, 22), f1, perplexity])
    assert verdict is not None
    assert verdict.pooled is not None
    assert verdict.pooled.n == 1319 + 500
    assert judge_suite([member("a", 20, 22), perplexity]).pooled is None  # type: ignore[union-attr]


def test_all_tests_together_cost_power_and_find_a_collapse() -> None:
    entries = [member("a", 40, 12), *(member(f"c{i}", 15, 15) for i in range(5))]
    plain, everything = judge_suite(entries), judge_suite(entries, everything=True)
    assert plain is not None
    assert everything is not None
    assert everything.adjusted["a acc"] == plain.adjusted["a acc"]
    assert 0 < everything.adjusted[POOLED] <= 1


def test_it_travels_as_plain_values() -> None:
    verdict = judge_suite([member("a", 20, 22), member("b", 15, 15)])
    assert verdict is not None
    assert json.loads(json.dumps(verdict.to_json()))["status"] == "pass"


def test_a_group_that_failed_names_the_leaves_that_fell() -> None:
    group = member("group", 120, 50, 4000, failed=True)
    leaves = [member("x", 70, 10, 2000, leaf_of="group"), member("y", 50, 40, 2000, leaf_of="group")]
    verdict = judge_suite([group, *leaves])
    assert verdict is not None
    assert verdict.sentences[-1].startswith("of group, x (q = ")
    assert verdict.sentences[-1].endswith(") fell")
    assert judge_suite([member("group", 60, 50, 4000), *leaves]).sentences == ()  # type: ignore[union-attr]
