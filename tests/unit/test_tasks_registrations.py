"""What a task's own module registers with lm-eval's decorators is found, and is that task's alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_lmeval.errors import TaskFileError
from pytest_lmeval.tasks.filters import pipelines
from pytest_lmeval.tasks.metrics import metrics_of
from pytest_lmeval.tasks.spec import TaskSpec

from .making import scored, small_task

FUNCTIONS = """
from lm_eval.api.filter import Filter
from lm_eval.api.registry import register_aggregation, register_filter, register_metric

@register_filter("mark")
class Mark(Filter):
    def __init__(self, times=1):
        self.mark = "MARK" * times
    def apply(self, resps, docs):
        return [[r + self.mark for r in row] for row in resps]

@register_aggregation("largest")
def largest(values):
    return max(values)

@register_metric(metric="length", aggregation="largest", higher_is_better=False)
def length(references, predictions):
    return len(predictions[0])

@register_metric(metric="share", aggregation="mean")
def share(items):
    return len(items[1]) / len(items[0])

def prompt(doc):
    return doc["question"]
"""
GENERATE: dict[str, Any] = {"output_type": "generate_until", "doc_to_choice": None, "doc_to_target": "answer"}
KEYS: dict[str, Any] = GENERATE | {
    "doc_to_text": None,
    "filter_list": [{"name": "marked", "filter": [{"function": "mark", "times": 2}, {"function": "take_first"}]}],
    "metric_list": [{"metric": "length"}, {"metric": "share"}, {"metric": "exact_match", "aggregation": "largest"}],
}
TAIL = "doc_to_text: !function utils.prompt\n"


@pytest.fixture(autouse=True)
def _with_lm_eval() -> None:
    pytest.importorskip("lm_eval", reason="the decorators are of lm-eval, which is not installed")


def made(folder: Path, mark: str) -> TaskSpec:
    return small_task(folder, KEYS, functions=FUNCTIONS.replace("MARK", mark), tail=TAIL)


def test_filters_metrics_and_aggregations_are_found(tmp_path: Path) -> None:
    result = scored(made(tmp_path, "!"), ["two", "purpl", "bird"])
    values = {metric.key: metric.value for metric in result.metrics}
    assert values == {
        "length,marked": 7.0,
        "share,marked": pytest.approx((5 / 3 + 7 / 6 + 6 / 4) / 3),
        "exact_match,marked": 0.0,
    }
    assert [metric.higher_is_better for metric in result.metrics] == [False, True, True]
    assert [metric.stderr is None for metric in result.metrics] == [True, False, True]


def test_two_tasks_may_register_the_same_name(tmp_path: Path) -> None:
    first, second = made(tmp_path / "a", "?"), made(tmp_path / "b", "!")
    both = [pipelines(spec)["marked"]([["x"]], [{}]) for spec in (first, second, first)]
    assert both == [["x??"], ["x!!"], ["x??"]]


def test_it_is_unknown_to_other_tasks(tmp_path: Path) -> None:
    pipelines(made(tmp_path / "a", "?"))
    with pytest.raises(TaskFileError, match="unknown filter 'mark'"):
        pipelines(small_task(tmp_path / "b", GENERATE | {"filter_list": KEYS["filter_list"]}))
    with pytest.raises(TaskFileError, match="unknown metric 'length'"):
        metrics_of(small_task(tmp_path / "c", GENERATE | {"metric_list": KEYS["metric_list"]}))


def test_a_class_that_does_not_take_its_arguments_is_located(tmp_path: Path) -> None:
    step = {"function": "mark", "colour": "red"}
    keys = KEYS | {"filter_list": [{"name": "marked", "filter": [step]}]}
    spec = small_task(tmp_path, keys, functions=FUNCTIONS, tail=TAIL)
    with pytest.raises(TaskFileError, match="unexpected keyword argument 'colour'"):
        pipelines(spec)
