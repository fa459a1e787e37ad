from __future__ import annotations

import copy

import pytest

from pytest_lmeval.results import MetricValue
from pytest_lmeval.scores import EvaluationResult, Score

from .making import run, small_task

FILTERED = [{"name": name, "filter": [{"function": "take_first"}]} for name in ("strict", "loose")]


def metric(value: float, stderr: float | None, n: int = 1319) -> MetricValue:
    return MetricValue(name="em", filter="strict", value=value, stderr=stderr, higher_is_better=True, n=n)


def test_a_score_is_a_float() -> None:
    score = Score("gsm8k", metric(0.25, 0.01))
    assert score == 0.25
    assert score > 0.2
    assert score == pytest.approx(0.25)
    assert f"{score:.3f}" == "0.250"
    assert round(score * 2, 3) == 0.5
    assert (score.stderr, score.n) == (0.01, 1319)


@pytest.mark.parametrize(
    ("value", "stderr", "text"),
    [
        (0.2513, 0.0119, "gsm8k em,strict = 0.2513 ± 0.0119 (n=1,319)"),
        (0.2513, None, "gsm8k em,strict = 0.2513 (n=1,319)"),
    ],
)
def test_a_failed_assert_says_what_was_measured(value: float, stderr: float | None, text: str) -> None:
    score = Score("gsm8k", metric(value, stderr))
    assert repr(score) == str(score) == text


def test_a_result_is_a_mapping_of_scores(tmp_path_factory: pytest.TempPathFactory) -> None:
    result = EvaluationResult(run(small_task(tmp_path_factory.mktemp("task"))))
    assert list(result) == ["acc", "acc_norm"]
    assert len(result) == 2
    assert result["acc"] == result["acc,none"] == result.task_result.metric("acc").value
    assert result["acc"].n == 3
    assert "f1" not in result
    with pytest.raises(KeyError, match="small has no 'f1'; its metrics are acc, acc_norm"):
        _ = result["f1"]
    assert repr(result) == f"<{result['acc']!r}, {result['acc_norm']!r}>"


def test_a_bare_name_of_several_filters_is_refused(tmp_path_factory: pytest.TempPathFactory) -> None:
    spec = small_task(tmp_path_factory.mktemp("task"), {"metric_list": [{"metric": "acc"}], "filter_list": FILTERED})
    result = EvaluationResult(run(spec))
    assert list(result) == ["acc,strict", "acc,loose"]
    assert result["acc,strict"].n == 3
    with pytest.raises(KeyError, match="small has several filters of 'acc'; its metrics are acc,strict, acc,loose"):
        _ = result["acc"]


def test_a_score_can_be_copied() -> None:
    score = copy.deepcopy(Score("rivers", metric(0.25, 0.01)))
    assert (score, repr(score)) == (0.25, repr(Score("rivers", metric(0.25, 0.01))))
