from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_lmeval.backends.fake import FakeBackend
from pytest_lmeval.errors import DatasetError, TaskFileError
from pytest_lmeval.tasks.datasets import TaskDatasets
from pytest_lmeval.tasks.documents import DocumentStore
from pytest_lmeval.tasks.spec import TaskSpec

from .making import CHOICE_ROWS, run, small_task

COUNTED = """
calls = []

def process(rows):
    calls.append(len(rows))
    return rows.map(lambda row: {"question": row["question"] + "!", "extra": len(calls)})

def other(rows):
    calls.append(-len(rows))
    return rows
"""


def store(spec: TaskSpec) -> DocumentStore:
    return DocumentStore(spec, TaskDatasets(spec, None))


def calls(spec: TaskSpec) -> list[int]:
    from pytest_lmeval.tasks.functions import resolve

    assert spec.process_docs is not None
    counted: list[int] = resolve(spec.process_docs).__globals__["calls"]
    return counted


def questions(rows: Any) -> list[str]:
    return [row["question"] for row in rows]


def test_each_split_is_processed_once(tmp_path: Path) -> None:
    spec = small_task(
        tmp_path,
        {"training_split": "train"},
        train=CHOICE_ROWS[:2],
        functions=COUNTED,
        tail="process_docs: !function utils.process\n",
    )
    documents = store(spec)
    first, again = documents.evaluated(), documents.evaluated()
    assert questions(first.rows) == questions(again.rows) == [f"{row['question']}!" for row in CHOICE_ROWS]
    assert set(first.columns) == {*CHOICE_ROWS[0], "extra"}
    assert questions(documents.fewshot_pool()) == questions(documents.fewshot_pool())
    assert calls(spec) == [3, 2]


def test_processing_draws_no_progress_bar(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    import datasets

    datasets.enable_progress_bar()
    spec = small_task(tmp_path, {}, functions=COUNTED, tail="process_docs: !function utils.process\n")
    store(spec).evaluated()
    assert capfd.readouterr() == ("", "")
    assert datasets.is_progress_bar_enabled()


def test_examples_from_the_evaluated_split_share_its_processing(tmp_path: Path) -> None:
    tail = "process_docs: !function utils.process\n"
    spec = small_task(tmp_path, {"fewshot_split": "test"}, functions=COUNTED, tail=tail)
    documents = store(spec)
    assert documents.evaluated().rows is documents.fewshot_pool()
    assert calls(spec) == [3]


@pytest.mark.parametrize(
    ("tail", "processed", "count"),
    [
        ("fewshot_config: {process_docs: null}\n", False, [3]),
        ("fewshot_config: {process_docs: !function utils.other}\n", False, [3, -1]),
        ("", True, [3, 1]),
    ],
    ids=["off", "own", "inherited"],
)
def test_examples_may_be_processed_differently(tmp_path: Path, tail: str, processed: bool, count: list[int]) -> None:
    spec = small_task(
        tmp_path,
        {"fewshot_split": "train"},
        train=CHOICE_ROWS[2:],
        functions=COUNTED,
        tail="process_docs: !function utils.process\n" + tail,
    )
    documents = store(spec)
    documents.evaluated()
    assert questions(documents.fewshot_pool()) == ["Ñandú?!" if processed else "Ñandú?"]
    assert calls(spec) == count


SHUFFLING = """
import random

def process(rows):
    def shuffle(row):
        order = list(row["choices"])
        random.Random().shuffle(order)
        return {"choices": order, "label": order.index(row["answer"])}
    return rows.map(shuffle)
"""


def test_a_task_that_shuffles_is_scored_against_what_it_asked(tmp_path: Path) -> None:
    rows = [
        {"question": f"q{i}", "choices": ["x", "right", "y", "z"], "answer": "right", "label": 0} for i in range(30)
    ]
    tail = "process_docs: !function utils.process\n"
    spec = small_task(tmp_path, {}, rows, functions=SHUFFLING, tail=tail)
    backend = FakeBackend(loglikelihood=lambda context, choice: -1.0 if choice == " right" else -9.0)
    result = run(spec, backend)
    assert result.metric("acc").value == 1.0
    positions = [choice.continuation for choice in backend.asked[::4]]  # type: ignore[union-attr]
    assert len(set(positions)) > 1


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"training_split": "train", "validation_split": "validation"}, "train"),
        ({"validation_split": "validation"}, "validation"),
        ({}, "test"),
        ({"training_split": "train", "fewshot_split": "validation"}, "validation"),
        ({"training_split": "train", "fewshot_config": {"samples": [{"question": "sample"}]}}, "sample"),
        ({"fewshot_split": "train", "fewshot_config": {"samples": [{"question": "sample"}]}}, "train"),
    ],
    ids=["training", "validation", "evaluated", "own-split", "samples", "split-before-samples"],
)
def test_where_examples_come_from(tmp_path: Path, keys: dict[str, Any], expected: str) -> None:
    def named(split: str) -> list[dict[str, Any]]:
        return [{**CHOICE_ROWS[0], "question": split}]

    spec = small_task(tmp_path, keys, named("test"), train=named("train"), validation=named("validation"))
    assert questions(store(spec).fewshot_pool()) == [expected]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return rows[0]['missing']", "process_docs: KeyError: 'missing'"),
        ("pass", "process_docs: !function utils.process returned no documents but NoneType"),
    ],
)
def test_a_function_that_fails_is_located(tmp_path: Path, body: str, message: str) -> None:
    functions = f"def process(rows):\n    {body}\n"
    spec = small_task(tmp_path, functions=functions, tail="process_docs: !function utils.process\n")
    with pytest.raises(TaskFileError) as caught:
        store(spec).evaluated()
    assert caught.value.problem == message
    assert caught.value.line == spec.document.lines["process_docs"][1]


def test_samples_that_fail_are_located(tmp_path: Path) -> None:
    functions = "def samples():\n    raise RuntimeError('none')\n"
    spec = small_task(tmp_path, functions=functions, tail="fewshot_config: {samples: !function utils.samples}\n")
    with pytest.raises(TaskFileError, match="fewshot_config: RuntimeError: none"):
        store(spec).fewshot_pool()


def test_nothing_left_is_an_error(tmp_path: Path) -> None:
    functions = "def process(rows):\n    return rows.select([])\n"
    spec = small_task(tmp_path, functions=functions, tail="process_docs: !function utils.process\n")
    with pytest.raises(DatasetError, match="small: split 'test' has no documents"):
        store(spec).evaluated()
