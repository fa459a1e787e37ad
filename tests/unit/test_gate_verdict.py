from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from pytest_lmeval.baselines.record import Baseline, from_result
from pytest_lmeval.gate.explain import accept_command, explain
from pytest_lmeval.gate.policy import parse_gate
from pytest_lmeval.gate.verdict import Status, Verdict, judge, recorded
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


def base(result: TaskResult) -> Baseline:
    return from_result(result, {}, {}, "2026-08-02")


def judged(result: TaskResult, baseline: Baseline | None, required: bool = False, **gate: object) -> Verdict:
    return judge(result, parse_gate(gate).for_model("demo"), baseline, require_baseline=required)


OTHER = replace(base(HALF), settings=replace(SETTINGS, num_fewshot=5))


@pytest.mark.parametrize(
    ("result", "baseline", "gate", "status", "passed", "error"),
    [
        (HALF, base(HALF), {}, Status.PASS, True, False),
        (HALF, base(BETTER), {}, Status.REGRESSED, False, False),
        (BETTER, base(HALF), {}, Status.IMPROVED, True, False),
        (HALF, base(HALF), {"compare": "equal"}, Status.PASS, True, False),
        (BETTER, base(HALF), {"compare": "equal"}, Status.CHANGED, False, False),
        (HALF, base(BETTER), {"compare": "equal"}, Status.REGRESSED, False, False),
        (HALF, base(BETTER), {"compare": "off"}, Status.PASS, True, False),
        (HALF, OTHER, {"compare": "off"}, Status.PASS, True, False),
        (HALF, base(HALF), {"acc": 0.51}, Status.BELOW_THRESHOLD, False, False),
        (HALF, base(HALF), {"acc": {"max": 0.4}}, Status.BELOW_THRESHOLD, False, False),
        (HALF, base(BETTER), {"acc": 0.51}, Status.BELOW_THRESHOLD, False, False),
        (HALF, OTHER, {}, Status.INCOMPARABLE, False, True),
        (HALF, OTHER, {"acc": 0.51}, Status.INCOMPARABLE, False, True),
        (HALF, None, {}, Status.NO_BASELINE, True, False),
        (HALF, None, {"acc": 0.51}, Status.BELOW_THRESHOLD, False, False),
        (HALF, None, {"compare": "off", "acc": 0.51}, Status.BELOW_THRESHOLD, False, False),
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
    assert judged(HALF, None, required=True, compare="off").passed


def test_all_reasons_are_given() -> None:
    verdict = judged(HALF, base(BETTER), acc=0.51)
    assert verdict.reasons == (
        "acc 0.5000 is below its min 0.51 (n=100)",
        "acc fell by 10.00 points, from 0.6000 to 0.5000 (tolerance 1.00 points, baseline of 2026-08-02)",
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
    assert verdict.reasons == ("compared on the 50 documents that this run (50) and the baseline (100) share",)


def test_recording_settles_everything_but_thresholds() -> None:
    assert recorded(judged(HALF, base(BETTER))).status is Status.RECORDED
    assert recorded(judged(HALF, OTHER)).passed
    below = recorded(judged(HALF, base(BETTER), acc=0.51))
    assert (below.status, below.passed) == (Status.BELOW_THRESHOLD, False)
    assert below.reasons[-1] == "the baseline was recorded all the same"


def test_the_text_of_a_regression() -> None:
    verdict = judged(HALF, base(BETTER))
    text = explain(verdict, HALF, command=["pytest", "tasks/rivers.yaml", "--lm-model=hf:org/a b"])
    assert text.splitlines() == [
        "rivers: REGRESSED: acc fell by 10.00 points, from 0.6000 to 0.5000 "
        "(tolerance 1.00 points, baseline of 2026-08-02)",
        "",
        "  acc  0.5000 ± 0.0456  (n=100)  baseline 0.6000, -10.00 points",
        "  10 of 100 documents went from right to wrong, 0 from wrong to right",
        "",
        "right in the baseline, wrong now (5 of 10):",
        *(
            line
            for i in range(50, 55)
            for line in (
                f"  document {i}: expected ' yes', now 'no'",
                f"    asked ...{('long ' * 100 + f'Question {i}?')[-92:] + chr(10) + 'Answer:'!r}",
            )
        ),
        "",
        "accept it with:",
        "  pytest tasks/rivers.yaml '--lm-model=hf:org/a b' -k rivers --lm-update-baseline",
    ]


def test_model_output_cannot_reach_the_terminal() -> None:
    answer = "\x1b[2J\x07\r\u202egnirts\x00" + "x" * 500
    hostile = task([True] * 50 + [False] * 50, answer=answer)
    text = explain(judged(hostile, base(BETTER)), hostile)
    assert "x" * 101 not in text
    assert re.search(r"\\x1b\[2J\\x07\\r\\u202egnirts", text)
    assert all(char.isprintable() for line in text.split("\n") for char in line)


def test_a_broken_threshold_is_not_accepted_by_a_command() -> None:
    text = explain(judged(HALF, base(HALF), acc=0.51), HALF)
    assert text.startswith("rivers: BELOW THRESHOLD: acc 0.5000 is below its min 0.51")
    assert "--lm-update-baseline" not in text


def test_the_command_is_quoted() -> None:
    words = ["pytest", "a b.yaml", "--lm-model=demo"]
    assert accept_command(words, "c") == "pytest 'a b.yaml' --lm-model=demo -k c --lm-update-baseline"
