from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_lmeval.baselines.record import from_result
from pytest_lmeval.gate.comparison import Comparison
from pytest_lmeval.gate.decision import Decision, Outcome
from pytest_lmeval.gate.evidence import Evidence
from pytest_lmeval.gate.settings import resolve
from pytest_lmeval.gate.statistics.binary import mcnemar
from pytest_lmeval.gate.statistics.units import unchanged
from pytest_lmeval.gate.thresholds import ThresholdCheck
from pytest_lmeval.gate.verdict import Status, Verdict
from pytest_lmeval.report.findings import finding
from pytest_lmeval.report.json_report import write_json
from pytest_lmeval.report.rows import ReportRow, report_row
from pytest_lmeval.results import MetricValue, TaskResult, TaskSettings
from pytest_lmeval.runs.run import Run

from .recorded_runs import run_facts

ACC = MetricValue(name="acc", filter="none", value=0.1 + 0.2, stderr=0.02, higher_is_better=True, n=10)
STRICT = MetricValue(name="em", filter="strict", value=0.5, stderr=None, higher_is_better=True, n=10)
RESULT = TaskResult(
    task="rivers",
    n=10,
    total=40,
    metrics=(STRICT, ACC),
    main_metric="acc",
    items=(),
    settings=TaskSettings(
        dataset="d",
        dataset_config=None,
        split="test",
        num_fewshot=0,
        seed=1,
        limit=None,
        output_type="multiple_choice",
        generation=None,
        task_hash="t",
    ),
    tokens=1234,
    seconds=5.5,
    members=("a", "b"),
    warnings=("1 of 10 documents was not scored",),
    alias="Rivers",
)
RULES = resolve([])


def evidence(metric: str = "acc", lost: int = 3, gained: int = 1) -> Evidence:
    return Evidence(
        metric=metric,
        baseline=0.5,
        value=0.3,
        higher_is_better=True,
        estimate=mcnemar(lost, gained, 10, alpha=0.05),
        detectable=0.4,
        regressed=lost,
        improved=gained,
    )


def decision(outcome: Outcome = Outcome.REGRESSED, **facts: Any) -> Decision:
    return Decision(
        evidence=evidence(**facts),
        outcome=outcome,
        failed=outcome is Outcome.REGRESSED,
        warned=False,
        margin=0.01,
        min_effect=0.005,
        p=0.3,
        alpha=0.01,
    )


COMPARISON = Comparison(
    baseline=from_result(RESULT, {}, {}, "2026-01-01"),
    changed=(),
    n_now=10,
    n_then=10,
    paired=10,
    decisions=(decision(),),
    regressed=(1, 2, 3),
    improved=(4,),
)
VERDICT = Verdict(status=Status.REGRESSED, passed=False, reasons=("worse", "more"), comparison=COMPARISON)
ROW = report_row(RESULT, VERDICT, nodeid="tasks/rivers.yaml::rivers", model="demo", rules=RULES)


def test_a_row_from_a_verdict() -> None:
    expected = ReportRow(
        nodeid="tasks/rivers.yaml::rivers",
        task="rivers",
        model="demo",
        n=10,
        total=40,
        members=2,
        metric="acc",
        value=0.1 + 0.2,
        stderr=0.02,
        baseline=0.5,
        difference=-0.2,
        flips_regressed=3,
        flips_improved=1,
        verdict="regressed",
        passed=False,
        reason="worse",
        seconds=5.5,
        tokens=1234,
        metrics=(STRICT, ACC),
        warnings=("1 of 10 documents was not scored",),
        alias="Rivers",
        leaves=("a", "b"),
    )
    assert ROW.source is not None
    assert ROW.source.startswith("baseline of 2026-01-01 (")
    assert replace(ROW, difference=-0.2, findings=(), source=None, settings=None) == expected
    assert ROW.difference == pytest.approx(-0.2)


def test_the_metric_shown_is_the_one_that_decided() -> None:
    def metric(status: Status, **facts: Any) -> str:
        return report_row(RESULT, replace(VERDICT, status=status, **facts), nodeid="", model="").metric

    check = ThresholdCheck(metric="acc", bound="min", limit=0, value=0.5, stderr=None, n=10, passed=True)
    strict = replace(check, metric="em,strict", passed=False)
    assert metric(Status.BELOW_THRESHOLD, checks=(check, strict)) == "em,strict"
    strict_moved = decision(metric="em,strict")
    both = replace(COMPARISON, decisions=(decision(Outcome.PASS), strict_moved))
    assert metric(Status.REGRESSED, comparison=both) == "em,strict"
    better = replace(COMPARISON, decisions=(decision(Outcome.PASS), decision(Outcome.IMPROVED, metric="em,strict")))
    assert metric(Status.IMPROVED, comparison=better) == "em,strict"
    assert metric(Status.PASS, comparison=None) == "acc"


def test_a_finding_is_what_the_run_is_judged_by() -> None:
    found = ROW.finding
    assert found is not None
    estimate = evidence().estimate
    assert (found.low, found.high, found.detectable) == (estimate.low, estimate.high, 0.4)
    entry = found.tested
    assert (entry.name, entry.p, entry.failed, entry.beyond) == ("rivers acc", 0.3, True, True)
    assert (entry.alpha, entry.alpha_warn, entry.fraction, entry.leaf_of) == (0.01, 0.05, True, None)
    down = replace(evidence(), higher_is_better=False)
    lower = finding("rivers", replace(decision(), evidence=down), RULES, leaf_of="waters")
    assert (lower.low, lower.high) == (-estimate.high, -estimate.low)
    assert lower.tested.leaf_of == "waters"
    same = replace(down, estimate=unchanged("paired_ratio", n=10))
    zero = finding("rivers", replace(decision(), evidence=same), RULES, leaf_of=None)
    assert [math.copysign(1, end) for end in (zero.low, zero.high)] == [1, 1]
    # What was stopped for its answers failed, whatever the metric says.
    passed = finding("rivers", decision(Outcome.PASS), RULES, leaf_of=None, failed=True)
    assert passed.tested.failed
    # Without the rules that it was judged by, a row says nothing to the run.
    assert report_row(RESULT, VERDICT, nodeid="", model="").findings == ()


def test_what_passes_with_a_warning_says_so() -> None:
    unsure = replace(VERDICT, status=Status.INCONCLUSIVE, passed=True, reasons=("too few",))
    assert report_row(RESULT, unsure, nodeid="", model="").notes == ("too few",)
    assert report_row(RESULT, VERDICT, nodeid="", model="").notes == ()


def test_a_row_without_a_baseline() -> None:
    row = report_row(RESULT, Verdict(status=Status.PASS, passed=True, reasons=()), nodeid="", model="")
    assert (row.baseline, row.difference, row.flips_regressed, row.reason) == (None, None, 0, "")


def test_rows_travel_as_plain_values() -> None:
    row = replace(ROW, value=math.inf, stderr=-math.inf)
    wire = json.dumps(row.to_json(), allow_nan=False)
    assert ReportRow.from_json(json.loads(wire)) == row
    lost = ReportRow.from_json(json.loads(json.dumps(replace(ROW, value=math.nan).to_json(), allow_nan=False)))
    assert math.isnan(lost.value)


@pytest.mark.parametrize(
    "change",
    [
        {"n": "10"},
        {"value": None},
        {"metrics": [1]},
        {"passed": 1},
        {"task": None},
        {"warnings": [1]},
        {"findings": [{}]},
    ],
)
def test_what_is_no_row_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(change))):
        ReportRow.from_json({**ROW.to_json(), **change})


def test_the_results_file(tmp_path: Path) -> None:
    path = tmp_path / "out" / "results.json"
    broken = replace(ROW, nodeid="a", value=math.nan, metrics=(replace(ACC, value=math.inf),))
    facts = run_facts(options={"seed": 5, "generation_kwargs": {"top_p": math.nan}})
    run = Run(facts=facts, rows=(ROW, broken), suite=None)
    write_json(path, run)
    data = json.loads(path.read_text(), parse_constant=pytest.fail)
    assert data["schema"] == 1
    said = data["run"]
    assert (said["model"], said["seed"], said["generation_kwargs"], said["suite"]) == ("demo", 5, {"top_p": None}, None)
    assert (said["id"], said["origin"]["branch"]) == (facts.id, "main")
    first, second = data["results"]
    assert (first["nodeid"], first["value"], first["metrics"][0]["value"]) == ("a", None, None)
    assert second["value"] == 0.1 + 0.2  # to the last digit
    assert [metric["key"] for metric in second["metrics"]] == ["em,strict", "acc"]
    assert second["warnings"] == ["1 of 10 documents was not scored"]
    assert (second["verdict"], second["flips_regressed"], second["tokens"]) == ("regressed", 3, 1234)
    # The same results in another order are the same file.
    other = tmp_path / "other.json"
    write_json(other, replace(run, rows=(broken, ROW)))
    assert other.read_bytes() == path.read_bytes()
