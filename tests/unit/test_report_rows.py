from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_lmeval.gate.comparison import Comparison, MetricChange
from pytest_lmeval.gate.thresholds import ThresholdCheck
from pytest_lmeval.gate.verdict import Status, Verdict
from pytest_lmeval.report.json_report import write_json
from pytest_lmeval.report.rows import ReportRow, report_row
from pytest_lmeval.results import MetricValue, TaskResult, TaskSettings

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
COMPARISON = Comparison(
    created="2026",
    changed=(),
    n_now=10,
    n_then=10,
    paired=10,
    metrics=(MetricChange(metric="acc", baseline=0.5, value=0.3, worsening=0.2, tolerance=0.01, gated=True),),
    regressed=(1, 2, 3),
    improved=(4,),
)
VERDICT = Verdict(status=Status.REGRESSED, passed=False, reasons=("worse", "more"), comparison=COMPARISON)
ROW = report_row(RESULT, VERDICT, nodeid="tasks/rivers.yaml::rivers", model="demo")


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
    )
    assert replace(ROW, difference=-0.2) == expected
    assert ROW.difference == pytest.approx(-0.2)


def test_the_metric_shown_is_the_one_that_decided() -> None:
    def metric(status: Status, **facts: Any) -> str:
        return report_row(RESULT, replace(VERDICT, status=status, **facts), nodeid="", model="").metric

    check = ThresholdCheck(metric="acc", bound="min", limit=0, value=0.5, stderr=None, n=10, passed=True)
    strict = replace(check, metric="em,strict", passed=False)
    assert metric(Status.BELOW_THRESHOLD, checks=(check, strict)) == "em,strict"
    moved = replace(COMPARISON.metrics[0], metric="em,strict")
    assert metric(Status.REGRESSED, comparison=replace(COMPARISON, metrics=(moved,))) == "em,strict"
    better = replace(moved, value=0.7, worsening=-0.2)
    assert metric(Status.IMPROVED, comparison=replace(COMPARISON, metrics=(better,))) == "em,strict"
    assert metric(Status.PASS, comparison=None) == "acc"


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
    "change", [{"n": "10"}, {"value": None}, {"metrics": [1]}, {"passed": 1}, {"task": None}, {"warnings": [1]}]
)
def test_what_is_no_row_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(change))):
        ReportRow.from_json({**ROW.to_json(), **change})


def test_the_results_file(tmp_path: Path) -> None:
    path = tmp_path / "out" / "results.json"
    broken = replace(ROW, nodeid="a", value=math.nan, metrics=(replace(ACC, value=math.inf),))
    run = {"model": "demo", "elapsed": math.nan, "versions": {"torch": (2, 13)}, "path": tmp_path}
    write_json(path, [ROW, broken], run)
    data = json.loads(path.read_text(), parse_constant=pytest.fail)
    assert data["schema"] == 1
    expected = {"model": "demo", "elapsed": None, "versions": {"torch": [2, 13]}, "path": str(tmp_path)}
    assert data["run"] == expected
    first, second = data["results"]
    assert (first["nodeid"], first["value"], first["metrics"][0]["value"]) == ("a", None, None)
    assert second["value"] == 0.1 + 0.2  # to the last digit
    assert [metric["key"] for metric in second["metrics"]] == ["em,strict", "acc"]
    assert second["warnings"] == ["1 of 10 documents was not scored"]
    assert (second["verdict"], second["flips_regressed"], second["tokens"]) == ("regressed", 3, 1234)
    # The same results in another order are the same file.
    other = tmp_path / "other.json"
    write_json(other, [broken, ROW], dict(reversed(run.items())))
    assert other.read_bytes() == path.read_bytes()
