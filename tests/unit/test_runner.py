from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_lmeval.backends.fake import FakeBackend
from pytest_lmeval.backends.protocol import Answer, Failure, LoglikelihoodAnswer, LoglikelihoodRequest
from pytest_lmeval.broker import Job
from pytest_lmeval.errors import BackendError, DatasetError, TaskFileError
from pytest_lmeval.runner import Planned, Runner
from pytest_lmeval.tasks.groups import Group, parse_group
from pytest_lmeval.tasks.limits import Limit
from pytest_lmeval.tasks.options import EvaluationOptions
from pytest_lmeval.tasks.spec import TaskSpec
from pytest_lmeval.tasks.yaml_loader import TaskDocument

from .making import small_task

OPTIONS = EvaluationOptions()
METRICS = [{"metric": "acc"}]


class Opening:
    """Opens a fake model and counts how often."""

    def __init__(self, backend: FakeBackend | None = None, error: Exception | None = None) -> None:
        self.backend = backend or FakeBackend()
        self.error = error
        self.times = 0

    def __call__(self) -> FakeBackend:
        self.times += 1
        if self.error is not None:
            raise self.error
        return self.backend


def task(folder: Path, name: str, **keys: object) -> TaskSpec:
    return small_task(
        folder / name, {"task": name, "metric_list": METRICS, "doc_to_text": f"{name} {{{{question}}}}"} | keys
    )


def names(backend: FakeBackend) -> list[str]:
    """The first word of every context, in the order in which the model saw them."""
    return [str(request.context).split()[0] for request in backend.asked if isinstance(request, LoglikelihoodRequest)]


def test_the_model_is_opened_only_for_a_task_that_is_sound(tmp_path: Path) -> None:
    opening = Opening()
    runner = Runner(opening)
    with pytest.raises(DatasetError, match="has no split 'absent'"):
        runner.evaluate(task(tmp_path, "a", test_split="absent"), OPTIONS)
    with pytest.raises(TaskFileError, match="unknown metric"):
        runner.evaluate(task(tmp_path, "b", metric_list=[{"metric": "x"}]), OPTIONS)
    assert opening.times == 0
    assert runner.evaluate(task(tmp_path, "c"), OPTIONS).task == "c"
    assert opening.times == 1


def test_a_model_that_does_not_open_is_tried_once(tmp_path: Path) -> None:
    opening = Opening(error=BackendError("no weights"))
    runner = Runner(opening)
    for name in "ab":
        with pytest.raises(BackendError, match="no weights"):
            runner.evaluate(task(tmp_path, name), OPTIONS)
    with pytest.raises(BackendError, match="no weights"):
        _ = runner.info
    # Sixty tasks of a group do not tell it sixty times over.
    with pytest.raises(BackendError, match=r"did not open, as the first test .* tells: no weights$"):
        _ = runner.backend
    assert opening.times == 1


def test_results_are_remembered_by_what_was_asked(tmp_path: Path) -> None:
    opening = Opening()
    runner = Runner(opening)
    spec = task(tmp_path, "a")
    first = runner.evaluate(spec, OPTIONS)
    assert runner.evaluate(spec, EvaluationOptions()) is first
    assert len(opening.backend.asked) == 7
    others = [
        EvaluationOptions(limit=Limit.parse("first:1")),
        EvaluationOptions(num_fewshot=1),
        EvaluationOptions(seed=2),
        EvaluationOptions(generation_kwargs={"max_gen_toks": 3}),
    ]
    spec = task(tmp_path, "a", fewshot_config={"samples": [{"question": "q", "choices": ["c"], "label": 0}] * 2})
    results = [runner.evaluate(spec, options) for options in (OPTIONS, *others)]
    assert len({id(result) for result in results}) == 5
    assert [result.n for result in results] == [3, 1, 3, 3, 3]


def test_the_same_name_with_other_content_is_another_task(tmp_path: Path) -> None:
    runner = Runner(Opening())
    one, two = task(tmp_path, "a"), task(tmp_path, "a", description="Think. ")
    assert runner.evaluate(one, OPTIONS) is not runner.evaluate(two, OPTIONS)
    assert runner.evaluate(two, OPTIONS).items[0].examples == "Think. "


def test_planned_tasks_fill_the_batches_of_those_before_them(tmp_path: Path) -> None:
    backend = FakeBackend(window=10)
    runner = Runner(Opening(backend))
    specs = [task(tmp_path, name) for name in "abc"]
    runner.plan([Planned(spec, OPTIONS) for spec in specs])
    runner.plan([Planned(specs[0], OPTIONS)])
    runner.evaluate(specs[0], OPTIONS)
    assert names(backend) == ["a"] * 7 + ["b"] * 3
    results = [runner.evaluate(spec, OPTIONS) for spec in specs]
    assert names(backend) == ["a"] * 7 + ["b"] * 7 + ["c"] * 7
    # Batches do not change what comes out.
    assert [r.items for r in results] == [Runner(Opening()).evaluate(spec, OPTIONS).items for spec in specs]


def test_tasks_of_another_scope_are_not_asked_ahead(tmp_path: Path) -> None:
    backend = FakeBackend(window=50)
    runner = Runner(Opening(backend))
    specs = [task(tmp_path, name) for name in "abc"]
    runner.plan([Planned(spec, OPTIONS, scope) for spec, scope in zip(specs, ("x", "y", "x"), strict=True)])
    runner.evaluate(specs[0], OPTIONS, "x")
    assert names(backend) == ["a"] * 7 + ["c"] * 7


def test_a_planned_task_that_is_broken_stops_no_other(tmp_path: Path) -> None:
    runner = Runner(Opening())
    broken, sound = task(tmp_path, "a", test_split="absent"), task(tmp_path, "b")
    runner.plan([Planned(sound, OPTIONS), Planned(broken, OPTIONS)])
    assert runner.evaluate(sound, OPTIONS).n == 3
    for _ in range(2):
        with pytest.raises(DatasetError):
            runner.evaluate(broken, OPTIONS)


def broken_at(word: str) -> FakeBackend:
    def score(context: str, continuation: str) -> float:
        if word in context:
            raise RuntimeError(f"no answer to {word}\nand more")
        return -float(len(continuation))

    return FakeBackend(loglikelihood=score)


def test_documents_that_fail_are_left_out_and_are_not_asked_again(tmp_path: Path) -> None:
    backend = broken_at("blue")
    runner = Runner(Opening(backend))
    spec = task(tmp_path, "a")
    runner.plan([Planned(spec, OPTIONS)])
    result = runner.evaluate(spec, OPTIONS)
    assert runner.evaluate(spec, OPTIONS) is result
    assert (len(backend.asked), result.n, result.errors, result.metric("acc").n) == (7, 3, 1, 2)
    assert [item.error for item in result.items] == [None, "RuntimeError: no answer to blue", None]


def test_where_no_document_is_answered_that_is_an_error_and_it_is_not_asked_again(tmp_path: Path) -> None:
    backend = broken_at("a")
    runner = Runner(Opening(backend))
    spec = task(tmp_path, "a")
    runner.plan([Planned(spec, OPTIONS)])
    for _ in range(2):
        with pytest.raises(BackendError, match=r"a: 7 of 7 requests were not answered:\n  RuntimeError: no answer"):
            runner.evaluate(spec, OPTIONS)
    assert len(backend.asked) == 7


class Breaking(FakeBackend):
    """Its engine breaks at the first request."""

    def loglikelihood(self, requests: Iterator[LoglikelihoodRequest]) -> Iterator[LoglikelihoodAnswer | Failure]:
        next(requests)
        raise MemoryError("no room")
        yield


def test_what_broke_the_engine_is_the_cause(tmp_path: Path) -> None:
    runner = Runner(Opening(Breaking()))
    with pytest.raises(BackendError, match="MemoryError: no room") as caught:
        runner.evaluate(task(tmp_path, "a"), OPTIONS)
    assert isinstance(caught.value.__cause__, MemoryError)


def test_what_was_asked_is_forgotten_and_the_result_stays(tmp_path: Path) -> None:
    jobs: list[weakref.ref[Job]] = []
    runner = Runner(Opening(), observe=lambda job, answer: jobs.append(weakref.ref(job)))
    specs = [task(tmp_path, name) for name in "ab"]
    runner.plan([Planned(spec, OPTIONS) for spec in specs])
    results = [runner.evaluate(spec, OPTIONS) for spec in specs]
    runner.ask("loglikelihood", lambda ids: [], "next")
    gc.collect()
    assert len(jobs) == 14
    assert {job() for job in jobs} == {None}
    assert [runner.evaluate(spec, OPTIONS) for spec in specs] == results


def test_a_group_evaluates_the_leaves_that_are_missing(tmp_path: Path) -> None:
    backend = FakeBackend()
    runner = Runner(Opening(backend))
    a, b = task(tmp_path, "a"), task(tmp_path, "b")
    data = {"group": "g", "task": ["a", "b"], "aggregate_metric_list": [{"metric": "acc"}]}
    group = Group(spec=parse_group(TaskDocument(tmp_path / "g.yaml", data)), members=(a, b))
    first = runner.evaluate(a, OPTIONS)
    result = runner.evaluate_group(group, OPTIONS)
    assert names(backend) == ["a"] * 7 + ["b"] * 7
    assert (
        result.metric("acc").value == (first.metric("acc").value + runner.evaluate(b, OPTIONS).metric("acc").value) / 2
    )
    assert result.members == ("a", "b")


def test_asking_directly_shares_the_model() -> None:
    def requests(ids: Iterator[int]) -> list[LoglikelihoodRequest]:
        return [LoglikelihoodRequest(id=next(ids), context=c, continuation="x") for c in "abc"]

    opening = Opening(FakeBackend(loglikelihood=lambda context, continuation: float(ord(context))))
    runner = Runner(opening)
    answers: list[Answer] = runner.ask("loglikelihood", requests, "test_x")
    assert [a.logprob for a in answers if isinstance(a, LoglikelihoodAnswer)] == [97.0, 98.0, 99.0]
    runner.ask("loglikelihood", requests, "test_x")
    assert (opening.times, len(opening.backend.asked)) == (1, 6)


def test_closing(tmp_path: Path) -> None:
    opening = Opening()
    runner = Runner(opening)
    runner.close()
    assert opening.times == 0
    assert runner.info.backend == "fake"
    runner.close()
    assert opening.backend.closed
    opening.backend.closed = False
    runner.close()
    assert not opening.backend.closed, "closed twice"


def test_time_and_tokens_are_counted(tmp_path: Path) -> None:
    result = Runner(Opening()).evaluate(task(tmp_path, "a"), OPTIONS)
    assert result.seconds > 0
    assert result.tokens > 7
