from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import sacrebleu.metrics
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, matthews_corrcoef

from pytest_lmeval.gate.statistics.corpus import corpus_value, has_counts

CHECKED = settings(max_examples=60, deadline=None)
WORDS = ("a", "the", "cat", "sat", "mat", "on", ".", "dog", "über", "it's")
TEXT = st.lists(st.sampled_from(WORDS), max_size=9).map(" ".join)
PAIRS = st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=6)
METRICS: dict[str, Any] = {
    "bleu": sacrebleu.metrics.BLEU(),
    "chrf": sacrebleu.metrics.CHRF(),
    "chrf++": sacrebleu.metrics.CHRF(word_order=2),
    "ter": sacrebleu.metrics.TER(),
}


def counts_of(name: str, answers: list[str], references: list[list[str]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.asarray(METRICS[name]._extract_corpus_statistics(answers, references), dtype=float)


@pytest.mark.parametrize("name", METRICS)
@CHECKED
@given(pairs=PAIRS)
def test_values_are_those_of_sacrebleu(name: str, pairs: list[tuple[str, str]]) -> None:
    answers, references = map(list, zip(*pairs, strict=True))
    score = METRICS[name].corpus_score(answers, [references]).score
    counts = counts_of(name, answers, [references])
    assert float(corpus_value(name, counts.sum(axis=0))) == pytest.approx(score, abs=1e-9)


@pytest.mark.parametrize("name", METRICS)
def test_values_with_two_references(name: str) -> None:
    answers = ["the cat sat on the mat .", "a dog sat there on it", "über the mat"]
    references = [["the cat is on the mat .", "a dog sat there", "the mat"], ["the cat sat .", "it sat", "on the mat"]]
    counts = counts_of(name, answers, references).sum(axis=0)
    score = METRICS[name].corpus_score(answers, references).score
    assert float(corpus_value(name, counts)) == pytest.approx(score, abs=1e-9)


@CHECKED
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30))
def test_matthews_correlation_is_that_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    matrix = np.zeros((4, 4))
    for gold, guess in pairs:
        matrix[gold, guess] += 1
    golds, guesses = zip(*pairs, strict=True)
    expected = matthews_corrcoef(golds, guesses) if len({*golds, *guesses}) > 1 else 0.0
    assert float(corpus_value("matthews_corrcoef", matrix.ravel())) == pytest.approx(expected, abs=1e-9)


@CHECKED
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=30))
def test_f1_is_that_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    counts = [sum(pair == kind for pair in pairs) for kind in ((1, 1), (0, 1), (1, 0))]
    expected = f1_score(*zip(*pairs, strict=True), zero_division=0.0)
    assert float(corpus_value("f1", counts)) == pytest.approx(expected, abs=1e-9)


def test_perplexities() -> None:
    assert float(corpus_value("perplexity", [-6.0, 3])) == pytest.approx(math.exp(2))
    assert float(corpus_value("weighted_perplexity", [-30.0, 10])) == pytest.approx(math.exp(3))
    assert float(corpus_value("bits_per_byte", [-30.0, 10])) == pytest.approx(3 / math.log(2))
    assert math.isinf(float(corpus_value("perplexity", [-1e6, 1])))
    assert math.isnan(float(corpus_value("perplexity", [0.0, 0])))


@pytest.mark.parametrize(("name", "width"), [("bleu", 10), ("chrf", 18), ("chrf++", 24), ("ter", 2), ("f1", 3)])
def test_many_corpora_at_once(name: str, width: int) -> None:
    sums = np.random.default_rng(0).integers(0, 5, (3, 4, width)).astype(float)
    sums[0, 0] = 0
    values = corpus_value(name, sums)
    assert values.shape == (3, 4)
    for row, column in np.ndindex(3, 4):
        assert values[row, column] == pytest.approx(float(corpus_value(name, sums[row, column])), abs=1e-12)


def test_other_aggregations_have_no_counts() -> None:
    assert has_counts("bleu")
    assert has_counts("matthews_corrcoef")
    assert not has_counts("mean")
    with pytest.raises(KeyError, match="mean"):
        corpus_value("mean", [1.0, 2.0])


@pytest.mark.parametrize(("name", "width"), [("bleu", 9), ("chrf", 24), ("matthews_corrcoef", 8), ("f1", 0)])
def test_another_number_of_counts_is_refused(name: str, width: int) -> None:
    with pytest.raises(ValueError, match=f"{name}: expected .* counts, found {width}"):
        corpus_value(name, np.ones(width))
