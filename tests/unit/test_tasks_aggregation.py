from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable
from typing import Any

import pytest

from pytest_lmeval.tasks.aggregation import AGGREGATIONS, classification, pooled_stderr, unweighted_stderr

STREAM = random.Random(3)
NATS = [-STREAM.expovariate(0.4) for _ in range(300)]
PAIRS = [(-STREAM.uniform(5, 60), STREAM.randrange(4, 40)) for _ in range(300)]
TENTHS = [round(STREAM.random(), 3) for _ in range(8)]
ZERO_ONE = [float(STREAM.random() < 0.3) for _ in range(31)]


@pytest.fixture(scope="module")
def theirs() -> Any:
    return pytest.importorskip("lm_eval.api.metrics", reason="the oracle, lm-eval, is not installed")


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("mean", ZERO_ONE),
        ("mean", [3]),
        ("median", NATS),
        ("median", [4.0, 1.0, 3.0, 2.0]),
        ("perplexity", NATS),
        ("weighted_perplexity", PAIRS),
        ("bits_per_byte", PAIRS),
        ("nanmean", [1.0, math.nan, 4.0]),
    ],
)
def test_values_are_the_references(theirs: Any, name: str, values: list[Any]) -> None:
    assert AGGREGATIONS[name].value(values) == pytest.approx(getattr(theirs, name)(values), rel=1e-14)


def test_the_median_is_the_upper_of_two() -> None:
    assert AGGREGATIONS["median"].value([4.0, 1.0, 3.0, 2.0]) == 3.0


def test_stderr_of_a_mean_is_the_references(theirs: Any) -> None:
    assert AGGREGATIONS["mean"].stderr(ZERO_ONE) == pytest.approx(theirs.mean_stderr(ZERO_ONE), rel=1e-14)


def bootstrap(value: Callable[[Any], float], values: list[Any]) -> float:
    stream = random.Random(11)
    return statistics.stdev(value(stream.choices(values, k=len(values))) for _ in range(600))


@pytest.mark.parametrize(
    ("name", "values"),
    [("mean", ZERO_ONE), ("perplexity", NATS), ("weighted_perplexity", PAIRS), ("bits_per_byte", PAIRS)],
)
def test_stderrs_agree_with_a_bootstrap(name: str, values: list[Any]) -> None:
    aggregation = AGGREGATIONS[name]
    assert aggregation.stderr(values) == pytest.approx(bootstrap(aggregation.value, values), rel=0.1)


@pytest.mark.parametrize("name", ["mean", "perplexity", "nanmean", "weighted_perplexity", "bits_per_byte"])
def test_one_document_has_no_stderr(name: str) -> None:
    single: list[Any] = [(-3.0, 2)] if name in ("weighted_perplexity", "bits_per_byte") else [-1.0]
    assert AGGREGATIONS[name].stderr(single) is None
    assert math.isfinite(AGGREGATIONS[name].value(single))


def test_nanmean_is_the_references_to_the_last_bit(theirs: Any) -> None:
    assert AGGREGATIONS["nanmean"].value(TENTHS) == theirs.nanmean(TENTHS)


def test_a_resample_that_scores_nothing_is_one_of_them() -> None:
    pairs = [("the river is wide", "the river is wide"), ("stone", "zzz"), ("market", "qqq")]
    assert AGGREGATIONS["chrf"].value(pairs) > 0


def test_nanmean_leaves_gaps_out() -> None:
    aggregation = AGGREGATIONS["nanmean"]
    assert aggregation.stderr([1.0, math.nan, 4.0]) == AGGREGATIONS["mean"].stderr([1.0, 4.0])
    assert math.isnan(aggregation.value([math.nan]))


def test_stderrs_of_groups_are_the_references(theirs: Any) -> None:
    stderrs, sizes = [0.01, 0.2, 0.04], [100, 7, 31]
    assert pooled_stderr(stderrs, sizes) == pytest.approx(theirs.pooled_sample_stderr(stderrs, sizes), rel=1e-14)
    assert unweighted_stderr(stderrs) == pytest.approx(theirs.unweighted_mean_stderr(stderrs), rel=1e-14)
    assert pooled_stderr(stderrs, sizes) != pytest.approx(unweighted_stderr(stderrs), rel=0.01)


def labels(stream: random.Random, classes: int, n: int = 400) -> list[tuple[int, int]]:
    golds = [stream.randrange(classes) for _ in range(n)]
    return [(gold, gold if stream.random() < 0.6 else stream.randrange(classes)) for gold in golds]


def probabilities(stream: random.Random) -> list[tuple[int, list[float]]]:
    return [(stream.randrange(2), [p, 1 - p]) for p in (stream.random() for _ in range(200))]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("f1", labels(STREAM, 2)),
        ("matthews_corrcoef", labels(STREAM, 2)),
        ("matthews_corrcoef", labels(STREAM, 5)),
        ("brier_score", probabilities(STREAM)),
    ],
    ids=["f1", "mcc", "mcc-of-five", "brier"],
)
def test_values_and_resamples_of_classes(theirs: Any, name: str, values: list[Any]) -> None:
    reference = {"f1": "f1_score"}.get(name, name)
    assert AGGREGATIONS[name].value(values) == pytest.approx(getattr(theirs, reference)(values), rel=1e-13)
    assert AGGREGATIONS[name].stderr(values) == pytest.approx(bootstrap(AGGREGATIONS[name].value, values), rel=0.13)


@pytest.mark.parametrize("pairs", [[(0, 0)] * 5, [(1, 1)] * 4, [(1, 0)] * 3], ids=["negatives", "positives", "wrong"])
@pytest.mark.parametrize("name", ["f1", "matthews_corrcoef"])
def test_classes_without_a_spread(name: str, pairs: list[tuple[int, int]]) -> None:
    value, stderr = AGGREGATIONS[name].estimate(pairs)
    assert value in (0.0, 1.0)
    assert stderr == 0.0


def test_more_than_two_classes_have_no_f1() -> None:
    with pytest.raises(ValueError, match="multiclass"):
        AGGREGATIONS["f1"].value([(0, 1), (2, 2)])


def test_many_kinds_of_documents_are_resampled_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = labels(STREAM, 5)
    at_once = AGGREGATIONS["matthews_corrcoef"].stderr(pairs)
    monkeypatch.setattr(classification, "_COUNTS", 70)
    assert AGGREGATIONS["matthews_corrcoef"].stderr(pairs) == pytest.approx(at_once, rel=1e-12)


def test_brier_score_of_choices_that_differ_in_number() -> None:
    aggregation = AGGREGATIONS["brier_score"]
    pairs: list[Any] = [(0, [1.0, 0.0]), (2, [0.0, 0.0, 1.0]), (1, [1.0, 0.0]), (-100, [0.5, 0.5])]
    assert aggregation.value(pairs) == (0 + 0 + 2 + 1.5) / 4
    assert [aggregation.per_document("brier_score", pair) for pair in pairs[2:]] == [
        {"brier_score": 2.0},
        {"brier_score": 1.5},
    ]
    with pytest.raises(TypeError, match=r"needs one right choice, found \[0, 1\]"):
        aggregation.value([([0, 1], [0.5, 0.5])])


TRANSLATIONS = [("the cat sat on the mat", "the cat sat on a mat"), ("a dog ran", "one dog ran off"), ("no", "no")]


@pytest.mark.parametrize("name", ["bleu", "chrf", "chrf++", "ter"])
def test_texts(theirs: Any, name: str) -> None:
    aggregation = AGGREGATIONS[name]
    reference = getattr(theirs, name.replace("++", "pp"))
    assert aggregation.value(TRANSLATIONS) == pytest.approx(reference(TRANSLATIONS), rel=1e-13)
    two = [([gold, answer], [answer]) for gold, answer in TRANSLATIONS]
    assert aggregation.value(two) == pytest.approx(reference(two), rel=1e-13)
    assert aggregation.estimate(TRANSLATIONS[:1])[1] is None
    assert aggregation.per_document(name, TRANSLATIONS[0]) == {}
    assert aggregation.estimate([("x", "y z")] * 3)[1] == pytest.approx(0, abs=1e-6)


def test_documents_may_differ_in_how_many_references_they_have(theirs: Any) -> None:
    """The reference drops what is beyond the fewest."""
    one, two = ("e f g h", "e f g h"), (["x y z w", "a b c d"], "a b c d")
    assert AGGREGATIONS["bleu"].value([two, one]) == pytest.approx(100)
    assert theirs.bleu([two, ([one[0]], one[1])]) < 60


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        (("a", ["b", "c"]), "bleu needs one answer per document: end the filters with take_first"),
        (("a", 3), "bleu compares texts; found the answer 3"),
        ((2, "a"), "bleu compares texts; found the target 2"),
        (([], "a"), r"bleu compares texts; found the target \[\]"),
    ],
    ids=["answers", "number", "target", "no-target"],
)
def test_what_are_no_texts(pair: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        AGGREGATIONS["bleu"].value([pair])


def test_what_is_kept_of_a_document() -> None:
    kept = {name: aggregation.per_document("m", 0.5) for name, aggregation in AGGREGATIONS.items() if "mean" in name}
    assert kept == {"mean": {"m": 0.5}, "nanmean": {"m": 0.5}}
    assert AGGREGATIONS["median"].per_document("m", 0.5) == {"m/item": 0.5}
    assert AGGREGATIONS["median"].per_document("m", ("text", "text")) == {}
    for name, aggregation in AGGREGATIONS.items():
        if aggregation.counts is not None:
            assert aggregation.per_document("m", (1, 1)) == {}, name
    assert AGGREGATIONS["bypass"].per_document("m", 0.5) == {}
