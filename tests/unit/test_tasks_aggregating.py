"""Documents without a value are never silent, and never count as wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_lmeval.errors import TaskFileError
from pytest_lmeval.results import TaskResult

from .making import CHOICE_ROWS, choose, scored, small_task

ROWS = [{**CHOICE_ROWS[0], "question": name} for name in ("first", "second", "third", "fourth")]
RESPONSES = choose(0, 0, 1, 0)
FUNCTIONS = """
def process(doc, results):
    return VALUES.get(doc["question"], {"acc": float(results[0][1])})

def count(values):
    return len(values)

def fail(values):
    return 1 / 0

def word(values):
    return "much"

def lengths(values):
    return {"1k": 0.5, "2k": len(values)}
"""


def result_of(folder: Path, values: str, tail: str = "metric_list: [{metric: acc}]\n") -> TaskResult:
    functions = f"import math\nVALUES = {values}\n{FUNCTIONS}"
    tail = f"process_results: !function utils.process\n{tail}"
    return scored(small_task(folder, {}, ROWS, functions=functions, tail=tail), RESPONSES)


@pytest.mark.parametrize("nothing", ["None", "{}"])
def test_a_document_without_any_value_was_not_scored(tmp_path: Path, nothing: str) -> None:
    result = result_of(tmp_path, f"{{'second': {nothing}}}")
    (metric,) = result.metrics
    assert (metric.value, metric.n, result.n) == (2 / 3, 3, 4)
    assert result.warnings == ("1 of 4 documents was not scored: no metric was reported (first: document 1)",)
    assert [dict(item.scores) for item in result.items] == [{"acc": 1.0}, {}, {"acc": 0.0}, {"acc": 1.0}]


@pytest.mark.parametrize("gap", ["None", "math.nan"])
def test_a_value_that_is_none_or_not_a_number(tmp_path: Path, gap: str) -> None:
    """In the reference the first breaks the whole run, and the second the whole metric."""
    result = result_of(tmp_path, f"{{'second': {{'acc': {gap}, 'other': 1}}, 'fourth': {{'acc': {gap}}}}}")
    assert {m.name: (m.value, m.n) for m in result.metrics} == {"acc": (0.5, 2), "other": (1.0, 1)}
    assert result.warnings == ("2 of 4 documents were not scored by acc, which is over the others (first: document 1)",)
    assert dict(result.items[1].scores) == {"other": 1.0}


def test_a_metric_per_category_is_over_the_documents_of_the_category(tmp_path: Path) -> None:
    result = result_of(tmp_path, "{'first': {'acc': 1, 'a': 1}, 'third': {'acc': 0, 'b': 0}}")
    assert {m.name: m.n for m in result.metrics} == {"acc": 4, "a": 1, "b": 1}
    assert result.warnings == ()


def test_gaps_are_what_nanmean_and_own_aggregations_are_for(tmp_path: Path) -> None:
    tail = "metric_list: [{metric: acc, aggregation: nanmean}, {metric: own, aggregation: !function utils.count}]\n"
    values = "dict.fromkeys(('first', 'second'), {'acc': math.nan, 'own': None})"
    result = result_of(tmp_path, values, tail)
    assert {m.name: (m.value, m.n) for m in result.metrics} == {"acc": (0.5, 2), "own": (2.0, 2)}
    assert result.warnings == ()


def test_a_listed_metric_that_no_document_has(tmp_path: Path) -> None:
    tail = "metric_list: [{metric: acc}, {metric: bleu}, {metric: f1}]\n"
    assert result_of(tmp_path, "{}", tail).warnings == ("no value for bleu, f1: process_results returned none",)
    many = [{"metric": "acc"}, {"metric": "acc"}, {"metric": "ter"}]
    assert scored(small_task(tmp_path / "own", {"metric_list": many}, ROWS), RESPONSES).warnings == (
        "no value for ter: multiple_choice computes none",
        "metric_list names acc 2 times: only the last counts",
    )


def test_a_function_may_report_under_other_names_than_its_own(tmp_path: Path) -> None:
    functions = "def share(references, predictions): return {'share@1': float(references == predictions)}\n"
    keys = {"output_type": "generate_until", "doc_to_choice": None, "doc_to_target": "answer"}
    tail = "metric_list: [{metric: !function utils.share, aggregation: mean}]\n"
    task = small_task(tmp_path, keys, ROWS, functions=functions, tail=tail)
    result = scored(task, ["two", "three", "two", "two"])
    assert {metric.name: metric.value for metric in result.metrics} == {"share@1": 0.75}
    assert result.warnings == ()


def test_metrics_that_the_kind_of_task_does_not_compute_are_an_error_where_there_is_no_other(tmp_path: Path) -> None:
    with pytest.raises(TaskFileError, match="metric_list: multiple_choice computes no metric"):
        scored(small_task(tmp_path, {"metric_list": [{"metric": "bleu"}]}, ROWS), RESPONSES)


@pytest.mark.parametrize(
    ("values", "tail", "message"),
    [
        ("dict.fromkeys('first second third fourth'.split())", "", "process_results: process_results returned no met"),
        (
            "dict.fromkeys('first second third fourth'.split(), {'acc': None})",
            "metric_list: [{metric: acc}]\n",
            "acc: aggregation mean: ValueError: none of 4 documents has a value",
        ),
        (
            "{'second': ['acc']}",
            "",
            "process_results: TypeError: expected a mapping of metrics to values, found",
        ),
        (
            "{'second': {'acc': 'x'}}",
            "metric_list: [{metric: acc}]\n",
            "metric_list: acc: aggregation mean: TypeError: unsupported operand",
        ),
        (
            "{}",
            "metric_list: [{metric: acc, aggregation: !function utils.fail}]\n",
            "metric_list: acc: aggregation utils.fail: ZeroDivisionError: division by zero",
        ),
        (
            "{}",
            "metric_list: [{metric: acc, aggregation: !function utils.word}]\n",
            "metric_list: acc: aggregation utils.word: ValueError: could not convert string to float: 'much'",
        ),
    ],
)
def test_what_fails_is_located(tmp_path: Path, values: str, tail: str, message: Any) -> None:
    with pytest.raises(TaskFileError) as caught:
        result_of(tmp_path, values, tail)
    assert message in caught.value.problem
    assert caught.value.line is not None


def test_an_aggregation_may_return_several_metrics(tmp_path: Path) -> None:
    tail = "metric_list: [{metric: acc, aggregation: !function utils.lengths, higher_is_better: false}]\n"
    result = result_of(tmp_path, "{}", tail)
    assert [(m.name, m.value, m.n, m.higher_is_better) for m in result.metrics] == [
        ("acc[1k]", 0.5, 4, False),
        ("acc[2k]", 4.0, 4, False),
    ]
    assert result.warnings == ()
