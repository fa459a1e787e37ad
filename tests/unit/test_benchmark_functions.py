"""The functions of built-in benchmarks, called through the references of their task files."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset

from pytest_lmeval.errors import TaskFileError
from pytest_lmeval.tasks import functions
from pytest_lmeval.tasks.functions import resolve
from pytest_lmeval.tasks.metrics import metrics_of
from pytest_lmeval.tasks.sources import builtin_tasks
from pytest_lmeval.tasks.yaml_loader import FunctionReference, read_task_file

from .making import spec_of

TASKS = builtin_tasks()


def function_of(path: str, key: str) -> Callable[..., Any]:
    document = read_task_file(TASKS / path)
    assert document is not None
    reference = document.data[key]
    assert isinstance(reference, FunctionReference)
    return resolve(reference)


def gpqa_rows() -> Dataset:
    wrong = {f"Incorrect Answer {number}": f"wrong {number}" for number in (1, 2)}
    return Dataset.from_list(
        [{"Correct Answer": f" right {i} [title] on", "Incorrect Answer 3": None, **wrong} for i in range(8)]
    )


@pytest.mark.parametrize("name", ["gpqa_main_zeroshot", "gpqa_main_n_shot", "leaderboard_gpqa_main"])
def test_gpqa_has_the_same_choices_each_time(name: str) -> None:
    shuffle = function_of(f"gpqa/{name}.yaml", "process_docs")
    once, again = shuffle(gpqa_rows()).to_list(), shuffle(gpqa_rows()).to_list()
    assert once == again
    assert len({row["answer"] for row in once}) > 1
    for i, row in enumerate(once):
        assert row[f"choice{'ABCD'.index(row['answer'][1]) + 1}"] == f"right {i}. on"
        assert sorted(row[f"choice{n}"] for n in range(1, 5)) == [" ", f"right {i}. on", "wrong 1", "wrong 2"]


def test_commitment_bank_scores_the_labels_alike() -> None:
    score = resolve(FunctionReference(TASKS / "super_glue" / "cb.yaml", 1, "cb_scores.mean_f1"))
    assert score([(0, 0), (1, 1), (2, 2)]) == 1.0
    # Label 0: F1 of 2/3 (of two it finds one); label 1: 1 hit, 1 false alarm; label 2 is nowhere.
    assert score([(0, 0), (0, 1), (1, 1)]) == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (["The owl!"], {"f1": 1.0, "em": 1.0}),
        (["Bob", "a small owl"], {"f1": pytest.approx(2 / 3), "em": 0.0}),
        (["Bob"], {"f1": 0.0, "em": 0.0}),
        (["the"], {"f1": 0.0, "em": 0.0}),
    ],
    ids=["exact", "best-of-two", "none", "nothing-left"],
)
def test_record_scores_the_likeliest_entity(answers: list[str], expected: dict[str, float]) -> None:
    score = function_of("super_glue/record.yaml", "process_results")
    document = {"entities": ["Bob Ross", "owl"], "answers": answers}
    assert score(document, [(-3.0, False), (-2.0, False)]) == expected


def test_race_shows_the_answers_to_earlier_questions() -> None:
    options = ["one", "two", "three", "four"]
    problems = [
        {"question": "How many?", "answer": "B", "options": options},
        {"question": "There are  _  .", "answer": "D", "options": options},
        {"question": "And now?", "answer": "C", "options": options},
    ]
    document = {"article": "Some.", "problems": repr(problems)}
    prompt = function_of("race.yaml", "doc_to_text")(document)
    assert prompt == "Article: Some.\n\nQuestion: How many?\nAnswer: two\nThere are four\nAnd now?"
    assert function_of("race.yaml", "doc_to_choice")(document) == options
    assert function_of("race.yaml", "doc_to_target")(document) == 2


def test_mathqa_takes_its_answers_apart() -> None:
    choices = function_of("mathqa.yaml", "doc_to_choice")
    options = "a ) rs . 1,000 , b ) 27.5 , c ) 30 , d ) it depends , e ) none of these"
    assert choices({"options": options}) == ["rs . 1,000", "27.5", "30", "it depends", "none of these"]


def test_wsc_is_running_text() -> None:
    prompt = function_of("super_glue/wsc.yaml", "doc_to_text")
    document = {
        "text": "Ann did n't see Eve , so she left .",
        "span2_index": 7,
        "span2_text": "she",
        "span1_text": "Ann",
    }
    assert prompt(document).startswith("Passage: Ann didn't see Eve, so *she* left.\nQuestion: ")
    assert '"*she*" refer to "*Ann*"?' in prompt(document)


def test_crows_pairs_by_bias() -> None:
    select = function_of("crows_pairs/crows_pairs_english_race_color.yaml", "process_docs")
    rows = Dataset.from_list([{"bias_type": kind} for kind in ("race-color", "age", "race-color; age")])
    assert [row["bias_type"] for row in select(rows)] == ["race-color", "race-color; age"]
    prefers = function_of("crows_pairs/crows_pairs_english.yaml", "process_results")
    assert prefers({}, [(-4.0, False), (-6.5, True)]) == {"likelihood_diff": 2.5, "pct_stereotype": 1.0}
    assert prefers({}, [(-6.5, False), (-4.0, True)]) == {"likelihood_diff": 2.5, "pct_stereotype": 0.0}


@pytest.fixture
def not_yet_imported(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Neither the tiny benchmarks' functions nor the package that they import."""
    monkeypatch.setattr(functions, "_modules", {})
    resolve.cache_clear()
    yield
    resolve.cache_clear()
    sys.modules.pop("tinyBenchmarks", None)


@pytest.mark.usefixtures("not_yet_imported")
def test_tiny_benchmarks_without_their_estimator_say_how_to_install_it() -> None:
    spec = spec_of(TASKS / "tinyBenchmarks" / "tinyArc.yaml")
    with pytest.raises(TaskFileError, match=r"estimator is not installed: pip install git\+https://"):
        metrics_of(spec)


@pytest.mark.usefixtures("not_yet_imported")
def test_tiny_benchmarks_estimate_from_all_scores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The real estimator downloads its models; what matters here is what it is asked.
    stand_in = "def evaluate(scores, name):\n    return {name: {'gpirt': float(scores.sum()) / 10, 'irt': 0}}\n"
    (tmp_path / "tinyBenchmarks.py").write_text(stand_in)
    monkeypatch.syspath_prepend(tmp_path)
    metric = metrics_of(spec_of(TASKS / "tinyBenchmarks" / "tinyArc.yaml"))["acc_norm"]
    assert metric.aggregation.value([1.0, 0.0, 1.0]) == 0.2
