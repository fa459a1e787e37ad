from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from pytest_lmeval.baselines.record import Baseline, from_result
from pytest_lmeval.gate.comparison import Context
from pytest_lmeval.gate.explain import accept_command, explain
from pytest_lmeval.gate.monitor import Stop, StopKind
from pytest_lmeval.gate.policy import parse_gate
from pytest_lmeval.gate.verdict import Status, Verdict, judge, recorded, reported_only
from pytest_lmeval.results import ItemResult, MetricValue, TaskResult, TaskSettings

SETTINGS = TaskSettings(
    dataset="d",
    dataset_config=None,
    split="test",
    num_fewshot=0,
    seed=1,
    limit=None,
    output_type="multiple_choice",
    generation=None,
    task_hash="t",
)


def task(right: Sequence[bool], total: int | None = None, answer: str = "no") -> TaskResult:
    items = tuple(
        ItemResult(
            index=i,
            document_hash=hashlib.sha256(b"%d" % i).hexdigest(),
            prompt_hash=hashlib.sha256(b"p%d" % i).hexdigest(),
            target_hash=hashlib.sha256(b"t%d" % i).hexdigest(),
            scores={"acc": float(r)},
            margin=None,
            prompt=f"{'long ' * 100}Question {i}?\nAnswer:",
            target=" yes",
            answer=" yes" if r else answer,
        )
        for i, r in enumerate(right)
    )
    value = sum(right) / len(right)
    acc = MetricValue(name="acc", filter="none", value=value, stderr=0.0456, higher_is_better=True, n=len(right))
    return TaskResult(
        task="rivers",
        n=len(items),
        total=total or len(items),
        metrics=(acc,),
        main_metric="acc",
        items=items,
        settings=SETTINGS,
    )


HALF = task([True] * 50 + [False] * 50)
BETTER = task([True] * 60 + [False] * 40)
#: Two documents less, of a hundred: nothing that chance does not do.
SLIGHTLY = task([True] * 52 + [False] * 48)


def base(result: TaskResult) -> Baseline:
    return from_result(result, {}, {}, "2026-08-02")


def judged(
    result: TaskResult,
    baseline: Baseline | None,
    required: bool = False,
    context: Context | None = None,
    **gate: Any,
) -> Verdict:
    policy = parse_gate(gate).for_model("demo")
    return judge(result, policy, baseline, require_baseline=required, context=context)


OTHER = replace(base(HALF), settings=replace(SETTINGS, num_fewshot=5))


@pytest.mark.parametrize(
    ("result", "baseline", "gate", "status", "passed", "error"),
    [
        (HALF, base(HALF), {}, Status.PASS, True, False),
        (HALF, base(BETTER), {}, Status.REGRESSED, False, False),
        (BETTER, base(HALF), {}, Status.IMPROVED, True, False),
        (HALF, base(SLIGHTLY), {}, Status.INCONCLUSIVE, True, False),
        (HALF, base(SLIGHTLY), {"on_inconclusive": "fail"}, Status.INCONCLUSIVE, False, False),
        (HALF, base(SLIGHTLY), {"preset": "lossless"}, Status.PASS, True, False),
        (HALF, base(SLIGHTLY), {"margin": "20pp"}, Status.PASS, True, False),
        (HALF, base(BETTER), {"margin": "20pp"}, Status.REGRESSED_WITHIN_MARGIN, True, False),
        (HALF, base(BETTER), {"mode": "off"}, Status.PASS, True, False),
        (HALF, OTHER, {"mode": "off"}, Status.PASS, True, False),
        (replace(HALF, errors=2), base(HALF), {}, Status.ERROR, False, True),
        (replace(HALF, errors=2), base(HALF), {"max_error_rate": "2%"}, Status.PASS, True, False),
        (HALF, base(HALF), {"acc": 0.51}, Status.BELOW_THRESHOLD, False, False),
        (HALF, base(HALF), {"acc": {"max": 0.4}}, Status.BELOW_THRESHOLD, False, False),
        (HALF, base(BETTER), {"acc": 0.51}, Status.BELOW_THRESHOLD, False, False),
        (HALF, OTHER, {}, Status.INCOMPARABLE, False, True),
        (HALF, OTHER, {"acc": 0.51}, Status.INCOMPARABLE, False, True),
        (HALF, None, {}, Status.NO_BASELINE, True, False),
        (HALF, None, {"acc": 0.51}, Status.BELOW_THRESHOLD, False, False),
        (HALF, None, {"mode": "off", "acc": 0.51}, Status.BELOW_THRESHOLD, False, False),
    ],
)
def test_verdicts(
    result: TaskResult,
    baseline: Baseline | None,
    gate: dict[str, Any],
    status: Status,
    passed: bool,
    error: bool,
) -> None:
    verdict = judged(result, baseline, **gate)
    assert (verdict.status, verdict.passed, verdict.is_error) == (status, passed, error)


def test_a_required_baseline_that_is_missing_is_an_error_that_says_how_to_record() -> None:
    verdict = judged(HALF, None, required=True)
    assert (verdict.status, verdict.passed, verdict.is_error) == (Status.NO_BASELINE, False, True)
    assert "--lm-update-baseline" in verdict.reasons[0]
    assert "commit" in verdict.reasons[0]
    # Nothing is compared, so nothing is required.
    assert judged(HALF, None, required=True, mode="off").passed


def test_all_reasons_are_given() -> None:
    verdict = judged(HALF, base(BETTER), acc=0.51)
    assert verdict.reasons == (
        "acc 0.5000 is below its min 0.51 (n=100)",
        "acc fell by 10.00 points, from 0.6000 to 0.5000 on 100 documents (10 lost, 0 gained). "
        "An equal model shows such a drop in 1 run of 2,000 (p = 0.00049); the margin is 1.00 points",
    )


def test_incomparable_says_what_changed_and_no_numbers() -> None:
    verdict = judged(BETTER, OTHER)
    assert verdict.reasons == ("the baseline was made with other num_fewshot (5 -> 0)",)
    text = explain(verdict, BETTER)
    assert "0.6" not in text
    assert "--lm-update-baseline" in text


def test_a_subset_says_so() -> None:
    verdict = judged(task([True] * 50, total=100), base(HALF))
    assert verdict.status is Status.PASS
    assert verdict.reasons[0] == "acc 1.0000: all 50 answers are the same"
    shared = "compared on the 50 documents that this run (50) and the baseline (100) share (50% of both)"
    assert shared in verdict.reasons


def test_recording_settles_everything_but_thresholds() -> None:
    assert recorded(judged(HALF, base(BETTER))).status is Status.RECORDED
    assert recorded(judged(HALF, OTHER)).passed
    below = recorded(judged(HALF, base(BETTER), acc=0.51))
    assert (below.status, below.passed) == (Status.BELOW_THRESHOLD, False)
    assert below.reasons[-1] == "the baseline was recorded all the same"


def test_the_text_of_a_regression() -> None:
    verdict = judged(HALF, base(BETTER))
    text = explain(verdict, HALF, command=["pytest", "tasks/rivers.yaml::rivers", "--lm-model=hf:org/a b"])
    lines = text.splitlines()
    assert lines[0].startswith("rivers: REGRESSED: acc fell by 10.00 points, from 0.6000 to 0.5000 on 100 documents")
    assert lines[2] == "  acc  0.5000 ± 0.0456  (n=100)  baseline 0.6000, -10.00 points"
    assert lines[3] == (
        "  acc: one-sided mid-p McNemar test (n = 100), p = 0.00049 against 0.01; 95 % interval -17.44 to -5.52 points"
    )
    assert lines[4].startswith("  compared with the baseline of 2026-08-02")
    assert text.count("expected") >= 3
    assert lines[-5:] == [
        "look further with:",
        "  pytest tasks/rivers.yaml::rivers '--lm-model=hf:org/a b' -vv",
        "",
        "accept it with:",
        "  pytest tasks/rivers.yaml::rivers '--lm-model=hf:org/a b' --lm-update-baseline --lm-accept-regression",
    ]


def test_a_run_that_was_stopped_is_judged_by_what_stopped_it() -> None:
    part = replace(task([True] * 5 + [False] * 15, total=100), stopped="after 20 of 100 documents: lost too many")
    worse = Stop(kind=StopKind.WORSE, reason="lost too many", asked=20, total=100)
    verdict = judged(part, base(HALF), context=Context(stop=worse, looks=0.0001))
    assert (verdict.status, verdict.passed) == (Status.REGRESSED, False)
    assert verdict.reasons[0] == "stopped after 20 of 100 documents: lost too many"
    broken = judged(part, None, context=Context(stop=replace(worse, kind=StopKind.BROKEN)))
    assert (broken.status, broken.passed) == (Status.REGRESSED, False)
    settled = judged(
        task([True] * 20, total=100), base(HALF), context=Context(stop=replace(worse, kind=StopKind.SETTLED))
    )
    assert (settled.status, settled.passed) == (Status.PASS, True)
    assert settled.reasons[-1].startswith("stopped after 20 of 100")


def with_margins(result: TaskResult, shift: float) -> TaskResult:
    """Margins that spread by some 3, and ``shift``."""
    return replace(result, items=tuple(replace(item, margin=item.index % 10 + shift) for item in result.items))


@pytest.mark.parametrize(
    ("result", "gate", "status", "passed"),
    [
        (BETTER, {}, Status.IMPROVED, True),
        (BETTER, {"preset": "lossless"}, Status.DRIFT, False),
        (HALF, {}, Status.DRIFT, True),
    ],
)
def test_drift_is_news_where_the_scores_are_none(
    result: TaskResult, gate: dict[str, Any], status: Status, passed: bool
) -> None:
    verdict = judged(with_margins(result, 2.0), base(with_margins(HALF, 0.0)), **gate)
    assert (verdict.status, verdict.passed) == (status, passed)
    assert "the log-probabilities behind the answers moved" in "\n".join(verdict.reasons)
    assert ("the scores are no evidence of harm" in verdict.reasons[0]) == (result is HALF)


def test_margins_of_one_passage_are_not_taken_for_independent() -> None:
    moved = with_margins(HALF, 2.0)
    passages = replace(moved, items=tuple(replace(item, cluster=f"{item.index // 2}") for item in moved.items))
    verdict = judged(passages, base(with_margins(HALF, 0.0)))
    assert verdict.comparison is not None
    assert verdict.comparison.drift is not None
    assert verdict.comparison.drift.mean_shift.clusters == 50


def test_a_leaf_is_reported_and_its_group_decides() -> None:
    leaf = reported_only(judged(HALF, base(BETTER)), "waters")
    assert (leaf.status, leaf.passed, leaf.gated) == (Status.REGRESSED, True, False)
    assert leaf.reasons[-1] == "reported only: its group waters decides"
    # What it promises itself, and what cannot be compared, still counts.
    assert not reported_only(judged(HALF, base(BETTER), acc=0.51), "waters").passed
    assert reported_only(judged(HALF, OTHER), "waters").is_error


def test_a_lower_value_is_named_whatever_its_certainty() -> None:
    assert judged(HALF, base(SLIGHTLY)).lowered == ("acc",)
    assert judged(BETTER, base(HALF)).lowered == judged(HALF, base(HALF)).lowered == ()
    assert judged(HALF, base(SLIGHTLY)).keeps_baseline
    assert not judged(HALF, base(BETTER)).keeps_baseline


def test_a_model_s_own_baseline_of_another_model_says_how_to_compare_models() -> None:
    own = Context(model={"backend": "vllm", "name": "a", "details": {}}, chosen=False)
    recorded = replace(base(HALF), model={"backend": "hf", "name": "a", "details": {}})
    engine = judged(HALF, recorded, context=own)
    assert engine.reasons[0].endswith(
        "(hf -> vllm). To compare models or engines on purpose, name the baseline: --lm-baseline=NAME"
    )
    # Where the questions differ, too, naming it would not help.
    other = judged(HALF, replace(recorded, settings=replace(SETTINGS, num_fewshot=5)), context=own)
    assert "(hf -> vllm)" in other.reasons[0]
    assert "--lm-baseline" not in other.reasons[0]


def test_a_drop_that_is_too_little_to_fail_is_not_told_as_none() -> None:
    # p = 0.0005, and among so many tests 0.0001 would have to be reached.
    verdict = judged(HALF, base(BETTER), context=Context(family=100), preset="lossless")
    assert (verdict.status, verdict.passed) == (Status.PASS, True)
    assert "not evidence enough of harm" in verdict.reasons[0]
    assert "no evidence of harm" in judged(HALF, base(SLIGHTLY), preset="lossless").reasons[0]


def test_a_score_that_is_no_number_is_an_error() -> None:
    broken = replace(HALF, metrics=(replace(HALF.metrics[0], value=float("nan")),))
    verdict = judged(broken, base(HALF))
    assert (verdict.status, verdict.is_error) == (Status.ERROR, True)
    assert verdict.reasons[0].startswith("acc is not a number")


def test_model_output_cannot_reach_the_terminal() -> None:
    answer = "\x1b[2J\x07\r\u202egnirts\x00" + "x" * 500
    hostile = task([True] * 50 + [False] * 50, answer=answer)
    text = explain(judged(hostile, base(BETTER)), hostile)
    assert "x" * 101 not in text
    assert "gnirts" in text
    assert all(char.isprintable() for line in text.split("\n") for char in line)


def test_a_broken_threshold_is_not_accepted_by_a_command() -> None:
    text = explain(judged(HALF, base(HALF), acc=0.51), HALF)
    assert text.startswith("rivers: BELOW THRESHOLD: acc 0.5000 is below its min 0.51")
    assert "--lm-update-baseline" not in text


def test_what_cannot_be_recorded_is_not_accepted_by_a_command() -> None:
    text = explain(judged(HALF, base(BETTER)), HALF, recordable=False)
    assert "look further with:" in text
    assert "--lm-update-baseline" not in text


def test_another_gated_metric_that_is_no_number_is_an_error() -> None:
    norm = MetricValue(name="acc_norm", filter="none", value=float("nan"), stderr=None, higher_is_better=True, n=0)
    result = replace(HALF, metrics=(*HALF.metrics, norm))
    gate: dict[str, Any] = {"acc_norm": {"margin": "1pp"}, "preset": "lossless"}
    verdict = judged(result, base(result), **gate)
    assert (verdict.status, verdict.passed) == (Status.ERROR, False)
    assert verdict.reasons[0].startswith("acc_norm is not a number")
    assert judged(result, base(result)).status is Status.PASS


def test_the_command_is_quoted() -> None:
    words = ["pytest", "a b.yaml::c", "--lm-model=demo"]
    assert accept_command(words) == "pytest 'a b.yaml::c' --lm-model=demo --lm-update-baseline"


def test_what_an_update_was_asked_for_is_asked_for_again() -> None:
    words = ["pytest", "a.yaml::c", "--lm-update-baseline=all"]
    command = "pytest a.yaml::c --lm-update-baseline=all --lm-accept-regression"
    assert accept_command(words, updating=True, lower=True) == command
