from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest

from pytest_lmeval.baselines.record import Baseline, from_result
from pytest_lmeval.baselines.update import Update
from pytest_lmeval.baselines.updating import Standing, Writing, decide_writing
from pytest_lmeval.results import Flaw, ItemResult, TaskResult, TaskSettings

NEW, CHANGED, ALL = Update


def item(index: int, *, failed: bool = False) -> ItemResult:
    return ItemResult(
        index=index,
        document_hash=f"{index:064x}",
        prompt_hash="0" * 64,
        target_hash="0" * 64,
        scores=MappingProxyType({} if failed else {"acc": 1.0}),
        margin=None,
        prompt="",
        target="",
        answer="",
        flaw=Flaw.ERROR if failed else None,
        error="the server broke" if failed else None,
    )


def run(n: int = 100, total: int = 100, errors: int = 0, **changes: Any) -> TaskResult:
    settings = TaskSettings(
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
    whole = TaskResult(
        task="rivers",
        n=n,
        total=total,
        metrics=(),
        main_metric="acc",
        items=tuple(item(i, failed=i < errors) for i in range(n)),
        settings=settings,
        errors=errors,
    )
    return replace(whole, **changes)


def stored(n: int = 100, errors: int = 0) -> Baseline:
    return from_result(run(n, errors=errors), {}, {}, "2026-08-02")


NOTHING = Standing(exists=False, baseline=None, keeps=False, lowered=())
UNREADABLE = replace(NOTHING, exists=True)
HOLDS = Standing(exists=True, baseline=stored(), keeps=True, lowered=())
CHANGES = replace(HOLDS, keeps=False)


def decided(update: Update, standing: Standing, result: TaskResult | None = None, *, accept: bool = False) -> Writing:
    return decide_writing(update, result or run(), standing, accept_regression=accept)


@pytest.mark.parametrize(
    ("standing", "written"),
    [(NOTHING, {NEW, CHANGED, ALL}), (HOLDS, {ALL}), (CHANGES, {CHANGED, ALL})],
    ids=["nothing", "holds", "changes"],
)
def test_what_is_written_by_default(standing: Standing, written: set[Update]) -> None:
    for update in Update:
        assert decided(update, standing) == Writing(writes=update in written)


def test_a_lower_score_must_be_accepted() -> None:
    lower = replace(CHANGES, lowered=("acc",))
    for update in (CHANGED, ALL):
        refused = decided(update, lower)
        assert not refused.writes
        assert refused.worse
        assert refused.refused == (
            "not recorded: acc is worse than in the baseline; where that is as it should be, add --lm-accept-regression"
        )
        assert decided(update, lower, accept=True) == Writing(writes=True)
    assert decided(NEW, lower) == Writing(writes=False)


def test_what_an_unreadable_file_scored_is_not_taken_for_less() -> None:
    for update in (CHANGED, ALL):
        refused = decided(update, UNREADABLE)
        assert (refused.writes, refused.worse) == (False, False)
        assert "cannot be read, and its score may have been better" in str(refused.refused)
        assert decided(update, UNREADABLE, accept=True) == Writing(writes=True)
    assert decided(NEW, UNREADABLE) == Writing(writes=False)


def test_a_score_that_is_lower_by_chance_fails_nobody_where_nothing_is_written() -> None:
    lower = replace(HOLDS, lowered=("acc", "f1"))
    assert decided(CHANGED, lower) == Writing(writes=False)
    assert "acc, f1 are worse" in str(decided(ALL, lower).refused)


@pytest.mark.parametrize("update", list(Update))
@pytest.mark.parametrize("accept", [False, True])
def test_what_is_no_measurement_is_never_written(update: Update, accept: bool) -> None:
    stopped = decided(update, NOTHING, run(30, stopped="it answers nothing"), accept=accept)
    assert not stopped.writes
    assert "stopped before its end (it answers nothing)" in str(stopped.refused)
    broken = decided(update, replace(NOTHING, broken="half of the documents failed"), accept=accept)
    assert broken == Writing(writes=False, refused="not recorded: half of the documents failed")


def test_a_stopped_run_that_asks_for_no_writing_is_let_be() -> None:
    assert decided(CHANGED, HOLDS, run(30, stopped="it is as good")) == Writing(writes=False)


@pytest.mark.parametrize(
    ("result", "baseline", "refused"),
    [
        (run(10), stored(), True),
        (run(100, errors=1), stored(), True),
        (run(100, errors=1), stored(100, errors=1), False),
        (run(100, errors=1), stored(100, errors=2), False),
        (run(60), stored(60), False),
        (run(60), stored(50), False),
        (run(60, total=60), stored(), False),
    ],
    ids=["limited", "errors", "same-errors", "fewer-errors", "same", "more", "smaller-data"],
)
def test_documents_are_not_lost_by_accident(result: TaskResult, baseline: Baseline, refused: bool) -> None:
    standing = replace(CHANGES, baseline=baseline)
    writing = decided(CHANGED, standing, result)
    assert writing.writes is not refused
    assert ("--lm-update-baseline=all" in str(writing.refused)) is refused
    assert not writing.worse
    assert decided(ALL, standing, result) == Writing(writes=True)
    assert decided(CHANGED, NOTHING, result) == Writing(writes=True)
