"""Additive statistics: from their sums over documents follows the metric, by the gate's formulas."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytest_lmeval.gate.statistics.corpus import corpus_value, has_counts
from pytest_lmeval.tasks.aggregation import AGGREGATIONS

from .making import CHOICE_ROWS, run, scored, small_task

STREAM = random.Random(7)
WORDS = [
    "the",
    "a",
    "cat",
    "dog",
    "sat",
    "ran",
    "on",
    "under",
    "mat",
    "tree",
    ",",
    ".",
    "quickly",
    "and",
    "then",
    "slowly",
]


def text() -> str:
    return " ".join(STREAM.choices(WORDS, k=STREAM.randrange(3, 25)))


def altered(original: str) -> str:
    return " ".join(STREAM.choice(WORDS) if STREAM.random() < 0.3 else word for word in original.split())


def classes(count: int, n: int = 200) -> list[tuple[int, int]]:
    golds = [STREAM.randrange(count) for _ in range(n)]
    return [(gold, gold if STREAM.random() < 0.6 else STREAM.randrange(count)) for gold in golds]


TEXTS = [text() for _ in range(40)]
ONE = [(gold, altered(gold)) for gold in TEXTS]
SEVERAL = [([altered(gold) for _ in range(STREAM.randrange(1, 4))], altered(gold)) for gold in TEXTS]
EXTREME = [("a cat", ""), ("the cat sat on the mat", "the cat sat on the mat"), ("dog", "x y z"), *ONE[:3]]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("perplexity", [-STREAM.uniform(0.1, 5) for _ in range(50)]),
        ("weighted_perplexity", [(-STREAM.uniform(1, 50), STREAM.randrange(1, 40)) for _ in range(50)]),
        ("bits_per_byte", [(-STREAM.uniform(1, 50), STREAM.randrange(1, 40)) for _ in range(50)]),
        ("f1", classes(2)),
        ("f1", [(0, 0)] * 5),
        ("matthews_corrcoef", classes(2)),
        ("matthews_corrcoef", classes(5)),
        ("matthews_corrcoef", [("no", "yes"), ("yes", "yes"), ("no", "no"), ("maybe", "no")]),
        *[(name, pairs) for name in ("bleu", "chrf", "chrf++", "ter") for pairs in (ONE, SEVERAL, EXTREME, ONE[:1])],
    ],
)
def test_the_metric_follows_from_the_sums(name: str, values: Sequence[Any]) -> None:
    (value, stderr), counts = AGGREGATIONS[name].reduce(values)
    assert counts is not None
    assert len(counts) == len(values)
    assert all(isinstance(number, float) for row in counts for number in row)
    assert corpus_value(name, np.sum(counts, axis=0)) == pytest.approx(value, rel=1e-9, abs=1e-9)
    assert (value, stderr) == AGGREGATIONS[name].estimate(values)


def test_every_metric_that_the_gate_can_resample_has_counts() -> None:
    assert {name for name in AGGREGATIONS if has_counts(name)} == {
        name for name, aggregation in AGGREGATIONS.items() if aggregation.counts is not None
    }


def test_classes_do_not_depend_on_what_a_model_says() -> None:
    counts = AGGREGATIONS["matthews_corrcoef"].counts
    assert counts is not None
    never, ever = counts([(0, 0), (2, 0)], 3), counts([(0, 1), (2, 0)], 3)
    assert never == [(1.0, *[0.0] * 8), (*[0.0] * 6, 1.0, 0.0, 0.0)]
    assert ever == [(0.0, 1.0, *[0.0] * 7), (*[0.0] * 6, 1.0, 0.0, 0.0)]


@pytest.mark.parametrize(
    "values", [[(n, 0) for n in range(13)], [(1, "a")], [(None, 1)]], ids=["many", "mixed", "none"]
)
def test_classes_that_cannot_be_kept(values: list[Any]) -> None:
    counts = AGGREGATIONS["matthews_corrcoef"].counts
    assert counts is not None
    assert counts(values, 0) is None


def test_counts_stand_with_their_documents(tmp_path: Path) -> None:
    keys = {"metric_list": [{"metric": "mcc"}, {"metric": "f1"}, {"metric": "acc"}]}
    rows = [{**row, "choices": row["choices"][:2]} for row in CHOICE_ROWS]
    responses = [(-1.0, False), (-2.0, False), (-1.0, False), (-2.0, False), (-2.0, False), (-1.0, False)]
    result = scored(small_task(tmp_path, keys, rows), responses)
    assert {m.key: m.aggregation for m in result.metrics} == {"mcc": "matthews_corrcoef", "f1": "f1", "acc": "mean"}
    # Golds are 0, 1, 0 and the choices 0, 0, 1.
    assert [item.counts["f1"] for item in result.items] == [(0, 0, 0), (0, 0, 1), (0, 1, 0)]
    assert [item.counts["mcc"].index(1.0) for item in result.items] == [0, 2, 1]
    assert [item.scores for item in result.items] == [{"acc": 1.0}, {"acc": 0.0}, {"acc": 0.0}]


def test_documents_without_a_value_have_no_counts(tmp_path: Path) -> None:
    functions = """
    def process(doc, results):
        return {"own": results[0][0] if doc["label"] == 0 else None, "acc": 1.0}
    """
    tail = "process_results: !function utils.process\n"
    keys = {"metric_list": [{"metric": "own", "aggregation": "perplexity"}, {"metric": "acc"}]}
    spec = small_task(tmp_path, keys, functions=functions, tail=tail)
    result = run(spec)
    assert [sorted(item.counts) for item in result.items] == [["own"], [], ["own"]]
    assert result.unscored == {"own": 1}


def test_texts_have_counts_after_each_filter(tmp_path: Path) -> None:
    pipelines = [
        {"name": "plain", "filter": [{"function": "take_first"}]},
        {"name": "small", "filter": [{"function": "lowercase"}, {"function": "take_first"}]},
    ]
    keys = {
        "output_type": "generate_until",
        "doc_to_choice": None,
        "doc_to_target": "answer",
        "metric_list": [{"metric": "bleu"}, {"metric": "exact_match"}],
        "filter_list": pipelines,
    }
    result = scored(small_task(tmp_path, keys), ["Two", "purple", "a bird"])
    for item in result.items:
        assert sorted(item.counts) == ["bleu,plain", "bleu,small"]
        assert len(item.counts["bleu,plain"]) == 10
        assert sorted(item.scores) == ["exact_match,plain", "exact_match,small"]
    sums = [np.sum([item.counts[key] for item in result.items], axis=0) for key in ("bleu,plain", "bleu,small")]
    assert sums[0][2] < sums[1][2]
