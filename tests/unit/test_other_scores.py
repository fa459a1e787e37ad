"""Models that give no log-likelihoods: their metrics have other names, and are compared with their like alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_lmeval.backends.fake import FakeBackend
from pytest_lmeval.backends.protocol import ModelInfo
from pytest_lmeval.baselines.format import dumps, from_result, loads
from pytest_lmeval.errors import TaskFileError
from pytest_lmeval.gate.policy import GateSyntaxError, parse_gate
from pytest_lmeval.gate.verdict import Status, judge
from pytest_lmeval.results import TaskResult
from pytest_lmeval.runner import Runner
from pytest_lmeval.tasks.options import EvaluationOptions
from pytest_lmeval.tasks.other_scores import named

from .making import small_task

METRICS = [{"metric": "acc"}, {"metric": "acc_norm"}]


class Letters(FakeBackend):
    """A model that only chooses letters."""

    @property
    def info(self) -> ModelInfo:
        return replace(super().info, scoring="letters")


def result(folder: Path, backend: FakeBackend, **keys: object) -> TaskResult:
    return Runner(lambda: backend).evaluate(small_task(folder, {"metric_list": METRICS} | keys), EvaluationOptions())


@pytest.fixture
def letters(tmp_path: Path) -> TaskResult:
    return result(tmp_path, Letters())


@pytest.fixture
def plain(tmp_path: Path) -> TaskResult:
    return result(tmp_path, FakeBackend())


def policy(**gate: Any) -> Any:
    return parse_gate(gate).for_model("openai:x")


@pytest.mark.parametrize(("key", "name"), [("acc", "acc@letters"), ("acc,first", "acc@letters,first")])
def test_a_name(key: str, name: str) -> None:
    assert named(key, "letters") == name


def test_metrics_are_renamed_and_lengths_left_out(letters: TaskResult, plain: TaskResult) -> None:
    assert [metric.key for metric in plain.metrics] == ["acc", "acc_norm"]
    assert [metric.key for metric in letters.metrics] == ["acc@letters"]
    assert letters.main_metric == "acc@letters"
    assert letters.metric("acc@letters").value == plain.metric("acc").value
    assert all(set(item.scores) == {"acc@letters"} for item in letters.items)
    assert letters.settings.scoring == "letters"
    assert letters.warnings[-1].startswith("scored by letters, not by log-likelihood")


def test_generated_answers_stay_as_they_are(tmp_path: Path) -> None:
    written = result(
        tmp_path, Letters(), output_type="generate_until", metric_list=[{"metric": "exact_match"}], doc_to_choice=None
    )
    assert written.settings.scoring is None
    assert [metric.name for metric in written.metrics] == ["exact_match"]


def test_never_compared_with_log_likelihoods(letters: TaskResult, plain: TaskResult) -> None:
    recorded = loads(dumps(from_result(plain, {}, {}, "2026-01-01")))
    verdict = judge(letters, policy(), recorded, require_baseline=True)
    assert verdict.status is Status.INCOMPARABLE
    assert "scoring" in verdict.reasons[0]
    assert "letters" in verdict.reasons[0]


def test_compared_with_its_like(letters: TaskResult) -> None:
    recorded = loads(dumps(from_result(letters, {}, {}, "2026-01-01")))
    assert recorded.settings == letters.settings
    assert judge(letters, policy(), recorded, require_baseline=True).status is Status.PASS


def test_a_baseline_without_one_says_nothing_of_it(plain: TaskResult) -> None:
    assert '"scoring"' not in dumps(from_result(plain, {}, {}, "2026-01-01"))


def test_a_threshold_for_log_likelihoods_is_not_applied(letters: TaskResult) -> None:
    with pytest.raises(GateSyntaxError, match=r"no 'acc'; its metrics are acc@letters"):
        judge(letters, policy(acc=0.0), None, require_baseline=False)


def test_a_threshold_of_its_own_stands_in_place_of_it(letters: TaskResult) -> None:
    own = policy(acc=0.0, models={"openai:*": {"acc@letters": {"min": 2}}})
    assert judge(letters, own, None, require_baseline=False).passed is False
    assert judge(letters, policy(**{"acc@letters": 0.0}), None, require_baseline=False).passed


def test_a_task_file_may_name_it(tmp_path: Path) -> None:
    gate = {"acc": 0.0, "models": {"openai:*": {"acc@letters": 0.0}}}
    assert result(tmp_path, Letters(), gate=gate).metric("acc@letters")
    with pytest.raises(TaskFileError, match=r"gate\.acx@letters: the task has no such metric"):
        result(tmp_path, Letters(), gate={"acx@letters": 0.0})
