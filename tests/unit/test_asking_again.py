"""A task asked more than once: in another order and sampled anew, and with nothing else changed."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from pytest_lmeval.backends.fake import FakeBackend
from pytest_lmeval.backends.protocol import GenerationRequest, GenerationSettings
from pytest_lmeval.runner import Runner
from pytest_lmeval.tasks.limits import Limit
from pytest_lmeval.tasks.options import EvaluationOptions
from pytest_lmeval.tasks.order import asking_order, sampling_settings
from pytest_lmeval.tasks.python_tasks.asking import Part
from pytest_lmeval.tasks.spec import TaskSpec

from .making import asked, call_of, run, small_task

ROWS = [{"question": f"number {n}", "choices": ["even", "odd", "neither"], "label": n % 2} for n in range(30)]
METRICS = [{"metric": "acc"}, {"metric": "acc_norm"}]
GENERATION: dict[str, Any] = {
    "output_type": "generate_until",
    "doc_to_choice": None,
    "doc_to_target": "{{label}}",
    "repeats": 2,
    "metric_list": [{"metric": "exact_match"}],
}


def choice(folder: Path) -> TaskSpec:
    return small_task(folder, {"metric_list": METRICS}, ROWS)


def sampled(folder: Path, **kwargs: Any) -> TaskSpec:
    return small_task(folder, {**GENERATION, "generation_kwargs": {"until": ["\n"], **kwargs}}, ROWS)


def test_each_run_has_an_order_of_its_own() -> None:
    keys = range(10, 60)
    orders = [tuple(asking_order(keys, seed=1, task="t", run=run)) for run in range(4)]
    assert orders[0] == tuple(keys)
    assert len(set(orders)) == 4
    assert all(sorted(order) == list(keys) for order in orders)
    assert orders[2] == tuple(asking_order(keys, seed=1, task="t", run=2))
    assert orders[2] != tuple(asking_order(keys, seed=1, task="other", run=2))


def test_every_repeat_of_every_run_has_a_seed_of_its_own() -> None:
    settings = GenerationSettings(until=(), max_tokens=4, do_sample=True, temperature=1.0, seed=7)
    seeds = [
        sampling_settings(settings, repeat=repeat, run=run, repeats=3).seed for run in range(4) for repeat in range(3)
    ]
    assert seeds == list(range(7, 19))
    assert sampling_settings(settings, repeat=0, run=0, repeats=1) is settings


def test_greedy_decoding_has_no_seed_to_change() -> None:
    settings = GenerationSettings(until=(), max_tokens=4, do_sample=False, temperature=0.0, seed=None)
    assert sampling_settings(settings, repeat=1, run=3, repeats=2) is settings


def test_a_further_run_asks_the_same_in_another_order(tmp_path: Path) -> None:
    spec = choice(tmp_path)
    first, again = ([call_of(request) for request in asked(spec, run=run)] for run in (0, 1))
    assert first != again
    assert sorted(first) == sorted(again)
    # The choices of a document stay together.
    contexts = [context for context, _ in again]
    assert contexts == [context for context in contexts[::3] for _ in range(3)]


def test_the_order_leaves_no_trace_in_the_result(tmp_path: Path) -> None:
    spec = choice(tmp_path)
    first = run(spec)
    assert run(spec, run=1) == first
    assert [item.index for item in first.items] == list(range(30))
    limited = Limit.parse("7")
    assert run(spec, limit=limited, run=2) == run(spec, limit=limited)


def test_a_further_run_samples_anew_and_is_the_same_question(tmp_path: Path) -> None:
    spec = sampled(tmp_path, do_sample=True, temperature=0.8, seed=5)
    seeds = [{r.settings.seed for r in asked(spec, run=run) if isinstance(r, GenerationRequest)} for run in range(3)]
    assert seeds == [{5, 6}, {7, 8}, {9, 10}]
    first, again = run(spec), run(spec, run=1)
    assert [item.prompt_hash for item in first.items] == [item.prompt_hash for item in again.items]
    assert first.settings == again.settings


def test_a_greedy_further_run_differs_in_order_alone(tmp_path: Path) -> None:
    spec = sampled(tmp_path)
    first, again = asked(spec), asked(spec, run=1)
    assert [request.id for request in first] == [request.id for request in again]
    assert first != again
    assert sorted(map(call_of, first)) == sorted(map(call_of, again))
    assert {r.settings for r in (*first, *again) if isinstance(r, GenerationRequest)} == {first[0].settings}  # type: ignore[union-attr]


class _Instance:
    """What a task's class makes of one request."""

    request_type = "generate_until"
    repeats = 2

    def __init__(self, document: int, number: int) -> None:
        self.doc_id = document
        self.args = (f"document {document} request {number}", {"temperature": 1.0, "do_sample": True})


def test_requests_of_a_class_are_reordered_by_document_and_given_back(tmp_path: Path) -> None:
    instances = [_Instance(document, number) for document in range(8) for number in range(2)]
    part = Part(choice(tmp_path), instances, 3, run=1)
    requests = list(part.requests(iter(range(100))))
    documents = [str(call_of(request)[0]).split()[1] for request in requests]
    assert documents != sorted(documents)
    assert documents == [document for document in documents[::4] for _ in range(4)]
    assert {request.settings.seed for request in requests if isinstance(request, GenerationRequest)} == {5, 6}
    backend = FakeBackend(generate=lambda context, settings: context)
    answers = sorted(backend.generate_until(iter(requests)), key=lambda answer: answer.id)  # type: ignore[arg-type]
    given_back = list(part.regrouped(answers))
    assert {id(instance) for instance, _ in given_back} == {id(instance) for instance in instances}
    assert all([answer.text for answer in got] == [instance.args[0]] * 2 for instance, got in given_back)  # type: ignore[union-attr]


def test_the_runner_remembers_no_further_run(tmp_path: Path) -> None:
    backend = FakeBackend()
    runner, spec, options = Runner(lambda: backend), choice(tmp_path), EvaluationOptions()
    first = runner.evaluate(spec, options)
    count = len(backend.asked)
    again = runner.evaluate_again(spec, options, 1)
    assert len(backend.asked) == 2 * count
    assert again.items == first.items
    assert [call_of(r) for r in backend.asked[:count]] != [call_of(r) for r in backend.asked[count:]]
    assert runner.evaluate_again(spec, options, 1) is not again
    assert runner.evaluate(spec, options) is first
    assert len(backend.asked) == 3 * count


@pytest.mark.parametrize("run", [1, 2, 3])
def test_a_model_that_depends_on_its_batches_is_caught(tmp_path: Path, run: int) -> None:
    """A further run in the same order would call such a model deterministic."""
    spec = choice(tmp_path)

    def evaluated(number: int) -> list[float | None]:
        state = random.Random(0)
        backend = FakeBackend(loglikelihood=lambda context, continuation: -len(continuation) - state.random() / 100)
        result = Runner(lambda: backend).evaluate(spec, EvaluationOptions(run=number))
        return [item.margin for item in result.items]

    assert evaluated(0) == evaluated(0)
    assert evaluated(run) != evaluated(0)
