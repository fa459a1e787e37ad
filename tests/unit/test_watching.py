"""A task that is watched: asked in random order, scored document by document, stopped where its answers are enough."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from pytest_lmeval.backends.fake import FakeBackend
from pytest_lmeval.backends.protocol import LoglikelihoodRequest
from pytest_lmeval.backends.text.scores import NO_NUMBER, unscored
from pytest_lmeval.baselines.record import from_result
from pytest_lmeval.errors import TaskFileError
from pytest_lmeval.gate.monitor import Monitor, StopKind, monitor_for
from pytest_lmeval.results import Flaw, ItemResult, TaskResult
from pytest_lmeval.runner import Planned, Runner
from pytest_lmeval.tasks.evaluation import Evaluation
from pytest_lmeval.tasks.functions import resolve
from pytest_lmeval.tasks.groups import Group, parse_group
from pytest_lmeval.tasks.options import EvaluationOptions
from pytest_lmeval.tasks.order import random_order
from pytest_lmeval.tasks.spec import TaskSpec
from pytest_lmeval.tasks.yaml_loader import TaskDocument

from .making import small_task

OPTIONS = EvaluationOptions()
ROWS = [{"question": f"q{i}", "choices": ["yes", "no", "so"][: 2 + i % 2], "label": i % 2} for i in range(400)]
METRICS = [{"metric": "acc"}, {"metric": "mcc"}]
TEXTS: dict[str, Any] = {
    "output_type": "generate_until",
    "doc_to_choice": None,
    "doc_to_target": "{{label}}",
    "generation_kwargs": {"until": ["\n"], "max_gen_toks": 16},
    "metric_list": [{"metric": "exact_match"}],
}


def task(folder: Path, name: str = "small", rows: Sequence[Any] = ROWS, **keys: Any) -> TaskSpec:
    return small_task(folder / name, {"task": name, "metric_list": METRICS, **keys}, rows)


@dataclass
class Until:
    """Stops after ``enough`` documents; notes them."""

    enough: int = 10**6
    compares: bool = True
    seen: list[ItemResult] = field(default_factory=list)

    def tell(self, item: ItemResult) -> str | None:
        self.seen.append(item)
        return f"after {len(self.seen)} documents" if len(self.seen) >= self.enough else None


def unnamed(result: TaskResult) -> TaskResult:
    return replace(result, seconds=0.0)


def plain(item: ItemResult) -> ItemResult:
    """Facets and the statistics of corpus metrics follow from all documents together."""
    return replace(item, facets={}, counts={})


def test_the_order_is_random_seeded_and_keeps_clusters_together() -> None:
    def order(seed: int = 1, task: str = "t") -> list[int]:
        return random_order(range(200), lambda index: str(index // 4) if index < 100 else None, seed=seed, task=task)

    assert sorted(order()) == list(range(200))
    assert order() == order()
    assert len({tuple(order()), tuple(order(seed=2)), tuple(order(task="u")), tuple(range(200))}) == 4
    clusters = [index // 4 for index in order() if index < 100]
    assert len(list(itertools.groupby(clusters))) == 25
    assert all(order().index(index) + 1 == order().index(index + 1) for index in range(0, 100, 4))


@pytest.mark.parametrize(
    "keys", [{}, {"metric_list": [{"metric": "acc_norm"}, {"metric": "acc"}]}, TEXTS, {"repeats": 2}]
)
def test_a_watched_task_has_the_result_of_any_other(tmp_path: Path, keys: dict[str, Any]) -> None:
    spec = task(tmp_path, rows=ROWS[:150], **keys)
    monitor = Until()
    backend = FakeBackend(fail_every=41)
    found = Runner(lambda: backend).evaluate(spec, OPTIONS, watch=lambda evaluation: monitor)
    assert unnamed(found) == unnamed(Runner(lambda: FakeBackend(fail_every=41)).evaluate(spec, OPTIONS))
    # Each document was told once, as it is in the result, but in another order.
    assert sorted(map(plain, monitor.seen), key=lambda item: item.index) == list(map(plain, found.items))
    assert [item.index for item in monitor.seen] != list(range(150))
    assert found.stopped is None
    assert 0 < found.errors == sum(item.error is not None for item in monitor.seen)


def test_a_stopped_task_has_a_result_of_the_documents_that_were_told(tmp_path: Path) -> None:
    backend, monitor = FakeBackend(window=2048), Until(20)
    spec = task(tmp_path)
    result = Runner(lambda: backend).evaluate(spec, OPTIONS, watch=lambda evaluation: monitor)
    assert (result.n, result.total, result.stopped) == (20, 400, "after 20 documents")
    assert list(map(plain, result.items)) == sorted(map(plain, monitor.seen), key=lambda item: item.index)
    assert result.metric("acc").value == sum(item.scores["acc"] for item in monitor.seen) / 20
    # A backend that would take all at once was asked about the first documents only.
    assert len({request.context for request in backend.asked if isinstance(request, LoglikelihoodRequest)}) == 64


def test_the_whole_result_is_there_for_those_who_need_it(tmp_path: Path) -> None:
    backend = FakeBackend()
    runner, spec = Runner(lambda: backend), task(tmp_path)
    stopped = runner.evaluate(spec, OPTIONS, watch=lambda evaluation: Until(5))
    assert stopped.n == 5
    assert runner.evaluate(spec, OPTIONS, watch=lambda evaluation: Until(5)) is stopped
    whole = runner.evaluate(spec, OPTIONS)
    assert (whole.n, whole.stopped) == (400, None)
    assert runner.evaluate(spec, OPTIONS, watch=lambda evaluation: Until(5)) is whole


def test_a_planned_task_is_watched_while_it_fills_the_batches_of_another(tmp_path: Path) -> None:
    backend = FakeBackend(window=5000)
    runner, specs = Runner(lambda: backend), [task(tmp_path, name) for name in "ab"]
    monitors = {spec.task: Until(10) for spec in specs}

    def watch(evaluation: Evaluation) -> Until:
        return monitors[evaluation.spec.task]

    runner.plan([Planned(spec, OPTIONS, watch=watch) for spec in specs])
    assert [runner.evaluate(spec, OPTIONS, watch=watch).n for spec in specs] == [10, 10]
    assert len(backend.asked) == pytest.approx(2 * 64 * 2.5, abs=30)


def test_a_group_says_which_of_its_tasks_was_stopped(tmp_path: Path) -> None:
    leaves = [task(tmp_path, name) for name in "abc"]
    data = {"group": "g", "task": list("abc"), "aggregate_metric_list": [{"metric": "acc"}]}
    group = Group(spec=parse_group(TaskDocument(tmp_path / "g.yaml", data)), members=tuple(leaves))
    monitors = {"a": Until(), "b": Until(7), "c": Until(9)}
    result = Runner(FakeBackend).evaluate_group(group, OPTIONS, watch=lambda evaluation: monitors[evaluation.spec.task])
    assert result.stopped == "b: after 7 documents (and 1 more of its tasks)"
    assert Runner(FakeBackend).evaluate_group(group, OPTIONS).stopped is None


FUNCTIONS = """
CALLS = []


def results(doc, responses):
    CALLS.append(doc["question"])
    if doc["question"] == "q7":
        raise ValueError("no seventh")
    return {"acc": 1.0}


class Whole:
    def apply(self, responses, documents):
        assert len(responses) == 400
        return [row[0] for row in responses]
"""


def test_what_a_function_of_the_tasks_own_makes_of_a_document_is_made_once(tmp_path: Path) -> None:
    rows = [row for row in ROWS if row["question"] != "q7"]
    spec = small_task(
        tmp_path,
        {"metric_list": [{"metric": "acc"}]},
        rows,
        functions=FUNCTIONS,
        tail="process_results: !function utils.results\n",
    )
    runner = Runner(FakeBackend)
    assert runner.evaluate(spec, OPTIONS, watch=lambda evaluation: Until()).n == 399
    assert spec.process_results is not None
    calls: Sequence[str] = resolve(spec.process_results).__globals__["CALLS"]
    assert max(Counter(calls).values()) == 1


def test_an_error_of_a_function_of_the_tasks_own_ends_the_task_early(tmp_path: Path) -> None:
    spec = small_task(
        tmp_path,
        {"metric_list": [{"metric": "acc"}]},
        ROWS,
        functions=FUNCTIONS,
        tail="process_results: !function utils.results\n",
    )
    backend = FakeBackend(window=10)
    with pytest.raises(TaskFileError, match="no seventh"):
        Runner(lambda: backend).evaluate(spec, OPTIONS, watch=lambda evaluation: Until())
    assert len(backend.asked) < 1000


def test_a_task_whose_filters_need_all_documents_is_not_watched(tmp_path: Path) -> None:
    spec = small_task(
        tmp_path,
        {"metric_list": [{"metric": "acc"}], "doc_to_choice": ["a", "b"]},
        [{**row, "label": 0} for row in ROWS[:200]],
        functions=FUNCTIONS,
        tail="filter_list: [{name: x, filter: [{function: !function utils.Whole}]}]\n",
    )
    monitor = Until(3)
    result = Runner(FakeBackend).evaluate(spec, OPTIONS, watch=lambda evaluation: monitor)
    assert (result.n, result.stopped, monitor.seen) == (200, None, [])


def knowing(share: float) -> Callable[[], FakeBackend]:
    """A model that has so many of a hundred documents right."""

    def choose(context: str, continuation: str) -> float:
        number = int(context.split()[1][1:])
        gold = ["yes", "no"][number % 2]
        right = number % 100 < 100 * share
        return -1.0 if (continuation.strip() == gold) == right else -2.0

    return lambda: FakeBackend(loglikelihood=choose, window=64)


def watching(spec: TaskSpec, **changes: Any) -> tuple[Callable[[Evaluation], Monitor], list[Monitor]]:
    then = from_result(Runner(knowing(0.8)).evaluate(spec, OPTIONS), {}, {}, "2026-01-01")
    made: list[Monitor] = []

    def watch(evaluation: Evaluation) -> Monitor:
        given: dict[str, Any] = {"metric_key": "acc", "alpha": 0.01, "margin_points": 1.0} | changes
        made.append(monitor_for(then, total=evaluation.selected, **given))
        return made[0]

    return watch, made


def test_a_worse_model_is_stopped_and_an_equal_one_is_not(tmp_path: Path) -> None:
    spec = task(tmp_path, rows=[{**row, "choices": ["yes", "no"]} for row in ROWS])
    for share, stopped in ((0.8, False), (0.9, False), (0.2, True)):
        watch, made = watching(spec)
        result = Runner(knowing(share)).evaluate(spec, OPTIONS, watch=watch)
        assert (result.stopped is not None) == stopped, share
        if stopped:
            assert 13 <= result.n < 60
            assert made[0].stop is not None
            assert result.stopped == str(made[0].stop)
            assert made[0].stop.kind is StopKind.WORSE


def test_an_early_pass_saves_documents(tmp_path: Path) -> None:
    spec = task(tmp_path, rows=[{**row, "choices": ["yes", "no"]} for row in ROWS])
    watch, made = watching(spec, settled=lambda regressed, improved, n: regressed - improved < 0.2 * n)
    result = Runner(knowing(0.8)).evaluate(spec, OPTIONS, watch=watch)
    assert made[0].stop is not None
    assert made[0].stop.kind is StopKind.SETTLED
    assert result.n == made[0].stop.asked < 200


def test_a_score_that_is_no_number_ends_it_at_once(tmp_path: Path) -> None:
    spec = task(tmp_path)
    broken = FakeBackend(loglikelihood=lambda context, continuation: math.nan)
    result = Runner(lambda: broken).evaluate(
        spec,
        OPTIONS,
        watch=lambda evaluation: monitor_for(
            None, metric_key=None, total=evaluation.selected, alpha=0.01, margin_points=0.0
        ),
    )
    assert result.stopped == "after 1 of 400 documents: the model gives a log-probability that is not a number"
    assert result.n == 1


def test_a_failure_because_of_nan_is_no_number_either(tmp_path: Path) -> None:
    """As backends give it that score texts themselves."""
    spec = task(tmp_path)
    evaluation = Evaluation(spec, OPTIONS)
    list(evaluation.requests(itertools.count()))
    item = evaluation.item(0, [unscored(0, NO_NUMBER), unscored(1, "too long")])
    assert (item.flaw, item.error) == (Flaw.NOT_A_NUMBER, NO_NUMBER)
    assert evaluation.item(0, [unscored(0, "too long"), unscored(1, NO_NUMBER)]).flaw is Flaw.ERROR
    assert monitor_for(None, metric_key=None, total=400, alpha=0.01, margin_points=0.0).tell(item) is not None


@pytest.mark.parametrize("watched", [True, False])
def test_where_nothing_is_compared_the_order_is_that_of_the_documents(tmp_path: Path, watched: bool) -> None:
    backend = FakeBackend(window=10)
    watch = (lambda evaluation: Until(compares=False)) if watched else None
    Runner(lambda: backend).evaluate(task(tmp_path, rows=ROWS[:20]), OPTIONS, watch=watch)
    contexts = [request.context for request in backend.asked if isinstance(request, LoglikelihoodRequest)]
    assert contexts == sorted(contexts, key=lambda context: int(str(context).split()[1][1:]))
