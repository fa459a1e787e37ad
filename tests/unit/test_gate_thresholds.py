from __future__ import annotations

import dataclasses
import math

import pytest

from pytest_lmeval.errors import UserError
from pytest_lmeval.gate.policy import ModelPolicy, parse_gate
from pytest_lmeval.gate.thresholds import check_thresholds
from pytest_lmeval.results import ItemResult, MetricValue, TaskResult, TaskSettings

SETTINGS = TaskSettings(
    dataset="d",
    dataset_config=None,
    split="test",
    num_fewshot=0,
    seed=1,
    limit=None,
    output_type="generate_until",
    generation=None,
    task_hash="t",
)


def metric(name: str, value: float, filter: str = "none", higher: bool = True) -> MetricValue:  # noqa: A002
    return MetricValue(name=name, filter=filter, value=value, stderr=0.1, higher_is_better=higher, n=10)


def result(*metrics: MetricValue) -> TaskResult:
    return TaskResult(
        task="t", n=10, total=10, metrics=metrics, main_metric=metrics[0].key, items=(), settings=SETTINGS
    )


def policy(**gate: object) -> ModelPolicy:
    return parse_gate(gate).for_model("demo")


@pytest.mark.parametrize(
    ("rule", "value", "passed"),
    [
        ({"min": 0.3}, 0.3, True),
        ({"min": 0.3}, 0.2999, False),
        ({"max": 0.3}, 0.3, True),
        ({"max": 0.3}, 0.3001, False),
        ({"min": 0.3}, math.nan, False),
        ({"max": 0.3}, math.nan, False),
        ({"max": 25}, math.inf, False),
    ],
)
def test_the_point_value_is_compared(rule: dict[str, float], value: float, passed: bool) -> None:
    (check,) = check_thresholds(result(metric("acc", value)), policy(acc=rule))
    assert check.passed is passed
    assert (check.bound, check.limit) == next(iter(rule.items()))
    assert (check.metric, check.stderr, check.n) == ("acc", 0.1, 10)


@pytest.mark.parametrize(
    ("higher", "value", "bound", "passed"),
    [(True, 0.4, "min", True), (True, 0.2, "min", False), (False, 0.4, "max", False), (False, 0.2, "max", True)],
)
def test_a_bare_number_bounds_the_bad_direction(higher: bool, value: float, bound: str, passed: bool) -> None:
    (check,) = check_thresholds(result(metric("m", value, higher=higher)), policy(m=0.3))
    assert (check.bound, check.passed) == (bound, passed)


def test_both_bounds_and_a_named_filter() -> None:
    checks = check_thresholds(
        result(metric("acc", 0.5), metric("em", 0.2, "strict")),
        parse_gate({"acc": {"min": 0.1, "max": 0.4}, "em,strict": 0.3}).for_model("demo"),
    )
    assert [(c.metric, c.bound, c.passed) for c in checks] == [
        ("acc", "min", True),
        ("acc", "max", False),
        ("em,strict", "min", False),
    ]
    assert [str(c) for c in checks[1:]] == [
        "acc 0.5000 is above its max 0.4 (n=10)",
        "em,strict 0.2000 is below its min 0.3 (n=10)",
    ]


def partly_scored(value: float, unscored: int, *, scores: bool = True) -> TaskResult:
    item = ItemResult(
        index=0,
        document_hash="",
        prompt_hash="",
        target_hash="",
        scores={"acc": 1.0} if scores else {},
        margin=None,
        prompt="",
        target="",
        answer="",
    )
    return dataclasses.replace(result(metric("acc", value)), items=(item,), unscored={"acc": unscored})


@pytest.mark.parametrize(
    ("gate", "unscored", "passed"),
    [({"min": 0.7}, 2, True), ({"min": 0.7}, 3, False), ({"max": 0.95}, 9, True), ({"max": 0.95}, 11, False)],
)
def test_documents_without_a_score_count_against_the_model(gate: dict[str, float], unscored: int, passed: bool) -> None:
    (check,) = check_thresholds(partly_scored(0.9, unscored), policy(acc=gate))
    assert check.passed is passed


def test_what_is_said_of_documents_without_a_score() -> None:
    (check,) = check_thresholds(partly_scored(0.9, 5), policy(acc={"min": 0.7}))
    assert str(check) == (
        "acc 0.9000 is of 10 documents, 5 could not be scored; with these as wrong it is 0.6000, below its min 0.7"
    )
    (check,) = check_thresholds(partly_scored(0.9, 5, scores=False), policy(acc={"min": 0.7}))
    assert not check.passed
    assert str(check) == (
        "acc 0.9000 is of 10 documents, 5 could not be scored: whether it is below its min 0.7 cannot be said"
    )


@pytest.mark.parametrize(
    ("gate", "passed"),
    [({"min": 0.71}, True), ({"min": 0.72}, False), ({"max": 0.84}, True), ({"max": 0.83}, False)],
)
def test_a_group_is_at_its_worst_where_each_leaf_is(gate: dict[str, float], passed: bool) -> None:
    leaves = (partly_scored(0.9, 10), partly_scored(0.8, 0), result(metric("f1", 0.1)))
    group = dataclasses.replace(
        result(metric("acc", 0.825)), leaves=leaves, weights={"acc": (0.25, 0.75, 0.0)}, unscored={"acc": 10}
    )
    (check,) = check_thresholds(group, policy(acc=gate))
    # 0.25 times 0.45 or 0.95, and 0.75 times 0.8.
    assert check.worst == pytest.approx(0.7125 if "min" in gate else 0.8375)
    assert check.passed is passed
    unknown = dataclasses.replace(group, leaves=(partly_scored(0.9, 10, scores=False), *leaves[1:]))
    assert check_thresholds(unknown, policy(acc=gate))[0].worst is None


def test_an_unknown_metric_is_the_users_mistake() -> None:
    with pytest.raises(UserError, match=r"gate\.acc_norn: t has no 'acc_norn'; its metrics are acc, f1"):
        check_thresholds(result(metric("acc", 0.5), metric("f1", 0.5)), policy(acc_norn=0.1))
