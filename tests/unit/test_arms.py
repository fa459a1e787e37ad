"""Another model as the baseline: when it is asked, what is kept, and whose mistake is whose."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from pathlib import Path

import pytest

from pytest_lmeval.arms import BaselineArm
from pytest_lmeval.backends.fake import FakeBackend
from pytest_lmeval.baselines.record import from_result
from pytest_lmeval.errors import BackendError, DatasetError, ModelSpecError, TaskFileError
from pytest_lmeval.results import ItemResult
from pytest_lmeval.runner import Planned, Runner
from pytest_lmeval.tasks.groups import Group, parse_group
from pytest_lmeval.tasks.options import EvaluationOptions
from pytest_lmeval.tasks.spec import TaskSpec
from pytest_lmeval.tasks.yaml_loader import TaskDocument

from .test_runner import Opening, names, task

OPTIONS = EvaluationOptions()


class Arm:
    """An arm on a fake model that can be watched."""

    def __init__(self, opening: Opening | None = None) -> None:
        self.opening = opening or Opening()
        self.runner = Runner(self.opening)
        self.stretches = 0
        self.arm = BaselineArm("fake:other", self.runner, environment=lambda: {"python": "3"}, done=self._done)

    @property
    def backend(self) -> FakeBackend:
        return self.opening.backend

    def _done(self) -> None:
        self.stretches += 1

    def plan(self, specs: Sequence[TaskSpec], scope: str = "") -> None:
        self.arm.plan([Planned(spec, OPTIONS, scope) for spec in specs])


def group(*members: TaskSpec) -> Group:
    data = {
        "group": "waters",
        "task": [member.task for member in members],
        "aggregate_metric_list": [{"metric": "acc", "weight_by_size": True}],
    }
    return Group(spec=parse_group(TaskDocument(Path("waters.yaml"), data)), members=members)


def test_a_baseline_is_what_recording_the_model_would_give(tmp_path: Path) -> None:
    spec, other = task(tmp_path, "a"), Arm()
    baseline = other.arm.baseline(spec, OPTIONS)
    result = Runner(Opening()).evaluate(spec, OPTIONS)
    expected = from_result(result, baseline.model, {"python": "3"}, baseline.created)
    assert baseline == expected
    assert baseline.model["backend"] == "fake"


def test_all_that_is_planned_is_asked_at_once_and_the_model_closed(tmp_path: Path) -> None:
    other, specs = Arm(), [task(tmp_path, name) for name in "abc"]
    other.plan(specs)
    assert other.opening.times == 0
    other.arm.ask()
    assert names(other.backend) == ["a"] * 7 + ["b"] * 7 + ["c"] * 7
    assert other.backend.closed
    assert [other.arm.baseline(spec, OPTIONS).task for spec in specs] == ["a", "b", "c"]
    other.arm.ask()
    assert (other.opening.times, other.stretches, len(other.backend.asked)) == (1, 1, 21)


def test_tasks_share_batches(tmp_path: Path) -> None:
    other = Arm(Opening(FakeBackend(window=10)))
    other.plan([task(tmp_path, name) for name in "ab"])
    seen: list[int] = []
    stream = other.backend.loglikelihood

    def counted(requests):  # type: ignore[no-untyped-def]
        seen.append(1)
        return stream(requests)

    other.backend.loglikelihood = counted  # type: ignore[method-assign]
    other.arm.ask()
    assert len(seen) == 1


def test_scopes_are_asked_as_their_turn_comes(tmp_path: Path) -> None:
    other, a, b = Arm(), task(tmp_path, "a"), task(tmp_path, "b")
    other.plan([a], "one")
    other.plan([b], "two")
    other.arm.ask()
    assert other.opening.times == 0
    other.arm.baseline(a, OPTIONS, "one")
    assert names(other.backend) == ["a"] * 7
    assert not other.backend.closed
    other.arm.baseline(b, OPTIONS, "two")
    assert other.backend.closed
    assert other.opening.times == 1


def test_what_was_not_planned_is_asked_when_it_is_needed(tmp_path: Path) -> None:
    other, spec = Arm(), task(tmp_path, "a")
    assert other.arm.baseline(spec, OPTIONS) is other.arm.baseline(spec, OPTIONS)
    assert len(other.backend.asked) == 7
    assert other.backend.closed
    # Closed, it is opened again for what nobody announced.
    other.opening.backend = FakeBackend()
    assert other.arm.baseline(spec, EvaluationOptions(seed=3)).settings.seed == 3
    assert (other.opening.times, other.backend.closed) == (2, True)


def test_of_a_group_the_leaves_are_asked(tmp_path: Path) -> None:
    a, b, other = task(tmp_path, "a"), task(tmp_path, "b"), Arm()
    waters = group(a, b)
    other.plan([a, b, a])
    baseline = other.arm.baseline(waters, OPTIONS)
    assert (baseline.task, baseline.members, baseline.items) == ("waters", ("a", "b"), ())
    own = Runner(Opening()).evaluate_group(waters, OPTIONS)
    assert [(m.key, m.value) for m in baseline.metrics] == [(m.key, m.value) for m in own.metrics]
    assert other.arm.baseline(a, OPTIONS).items
    assert len(other.backend.asked) == 14


def test_a_mistake_in_a_task_is_that_tasks_alone(tmp_path: Path) -> None:
    other = Arm()
    broken, lost, sound = (
        task(tmp_path, "a", metric_list=[{"metric": "x"}]),
        task(tmp_path, "b", test_split="absent"),
        task(tmp_path, "c"),
    )
    other.plan([broken, lost, sound])
    other.arm.ask()
    assert other.arm.baseline(sound, OPTIONS).task == "c"
    # It is the same mistake for the model under test, so it is told the same.
    for _ in range(2):
        with pytest.raises(TaskFileError, match=r"^(?!the baseline model).*unknown metric"):
            other.arm.baseline(broken, OPTIONS)
    with pytest.raises(DatasetError, match="has no split 'absent'"):
        other.arm.baseline(group(sound, lost), OPTIONS)


def test_a_few_questions_without_an_answer_are_left_out_of_the_baseline(tmp_path: Path) -> None:
    def answer(context: str, continuation: str) -> float:
        if "purple" in continuation:
            raise RuntimeError("busy")
        return -1.0

    other, spec = Arm(Opening(FakeBackend(loglikelihood=answer))), task(tmp_path, "a")
    baseline = other.arm.baseline(spec, OPTIONS, max_error_rate=0.34)
    assert (baseline.n, baseline.answered) == (3, 2)
    for target in (spec, group(spec)):
        with pytest.raises(BackendError, match=r"^the baseline model fake:other: .*: 1 of 3 .* 33 %") as error:
            other.arm.baseline(target, OPTIONS, max_error_rate=0.33)
        assert str(error.value).endswith("\n  RuntimeError: busy")
    assert len(other.backend.asked) == 7


@pytest.mark.parametrize("kind", [BackendError, ModelSpecError])
def test_a_model_that_does_not_open_is_named(tmp_path: Path, kind: type[Exception]) -> None:
    other, specs = Arm(Opening(error=kind("no weights"))), [task(tmp_path, name) for name in "ab"]
    other.plan(specs)
    other.arm.ask()
    with pytest.raises(kind, match=r"^the baseline model fake:other: no weights"):
        other.arm.baseline(specs[0], OPTIONS)
    with pytest.raises(BackendError, match=r"^the baseline model fake:other: the model did not open, .* no weights"):
        other.arm.baseline(specs[1], OPTIONS)
    assert other.opening.times == 1


def test_questions_that_fail_are_one_tasks_trouble(tmp_path: Path) -> None:
    def answer(context: str, continuation: str) -> float:
        if context.startswith("a "):
            raise RuntimeError("out of memory")
        return -1.0

    other, a, b = Arm(Opening(FakeBackend(loglikelihood=answer))), task(tmp_path, "a"), task(tmp_path, "b")
    other.plan([a, b])
    with pytest.raises(BackendError, match=r"^the baseline model fake:other: a: 7 of 7 requests were not answered"):
        other.arm.baseline(a, OPTIONS)
    assert other.arm.baseline(b, OPTIONS).task == "b"


def test_the_model_is_closed_also_where_the_user_interrupts(tmp_path: Path) -> None:
    def answer(context: str, continuation: str) -> float:
        raise KeyboardInterrupt

    other = Arm(Opening(FakeBackend(loglikelihood=answer)))
    other.plan([task(tmp_path, "a")])
    with pytest.raises(KeyboardInterrupt):
        other.arm.ask()
    assert other.backend.closed


def test_of_a_result_only_the_baseline_is_kept(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    other, specs = Arm(), [task(tmp_path, name) for name in ("heavy", "bulky")]

    def alive() -> int:
        gc.collect()
        objects = (found for found in gc.get_objects() if type(found) is ItemResult)
        return sum(item.prompt.startswith(("heavy ", "bulky ")) for item in objects)

    # What was there before is neither collected nor looked at: late in a run of the suite that is millions of objects.
    gc.freeze()
    request.addfinalizer(gc.unfreeze)
    other.plan(specs)
    other.arm.ask()
    assert alive() == 0
    assert [len(other.arm.baseline(spec, OPTIONS).items) for spec in specs] == [3, 3]
    # The count sees such items where somebody holds them.
    held = Runner(Opening()).evaluate(specs[0], OPTIONS)
    assert alive() == len(held.items)
