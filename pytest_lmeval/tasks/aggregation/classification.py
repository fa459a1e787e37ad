"""Metrics over predicted classes or probabilities: F1, Matthews correlation, Brier score.

Values are scikit-learn's, as the reference's are. Standard errors are bootstrap estimates over documents. A resample
is a multinomial draw of how often each distinct document occurs, so that it costs as much as there are kinds of
documents, and not as there are documents (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, ch. 6).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from pytest_lmeval.tasks.aggregation.base import RESAMPLES, SEED, Aggregation, Counts, Values, nothing_of, number_of
from pytest_lmeval.tasks.aggregation.means import mean_stderr

# A document's row of a confusion matrix of more classes is too long to keep.
_MOST_CLASSES = 12

# Counts held at a time, so that many kinds of documents need no more memory than few.
_COUNTS = 2_000_000


def f1(pairs: Values) -> float:
    """F1 of class 1 from (gold, predicted) classes, at most two. Raises ValueError for more classes."""
    from sklearn.metrics import f1_score

    golds, predictions = zip(*pairs, strict=True)
    return float(f1_score(golds, predictions, zero_division=0.0))


def matthews_correlation(pairs: Values) -> float:
    """Matthews correlation from (gold, predicted) classes, of any number of classes."""
    from sklearn.metrics import matthews_corrcoef

    golds, predictions = zip(*pairs, strict=True)
    # One class in all: 0 by convention, and scikit-learn would warn.
    return float(matthews_corrcoef(golds, predictions)) if len({*golds, *predictions}) > 1 else 0.0


def _f1_stderr(pairs: Values) -> float | None:
    return _bootstrap(Counter((gold == 1, predicted == 1) for gold, predicted in pairs), _f1_of)


def _f1_of(kinds: list[tuple[Any, Any]], counts: Any) -> Any:
    """F1 of every row of ``counts``: how often each of ``kinds`` occurs in a resample."""
    right = counts @ np.array([gold and predicted for gold, predicted in kinds], dtype=float)
    wrong = counts @ np.array([gold != predicted for gold, predicted in kinds], dtype=float)
    return _over(2 * right, 2 * right + wrong)


def _matthews_stderr(pairs: Values) -> float | None:
    return _bootstrap(Counter((gold, predicted) for gold, predicted in pairs), _matthews_of)


def _matthews_of(kinds: list[tuple[Any, Any]], counts: Any) -> Any:
    """Multiclass Matthews correlation of every row of ``counts`` (Gorodkin, Comput. Biol. Chem. 28, 2004)."""
    n = counts.sum(axis=1)
    codes = {value: code for code, value in enumerate(dict.fromkeys(value for kind in kinds for value in kind))}
    golds = _per_class(counts, [codes[gold] for gold, _ in kinds], len(codes))
    predicted = _per_class(counts, [codes[guess] for _, guess in kinds], len(codes))
    right = counts @ np.array([gold == guess for gold, guess in kinds], dtype=float)
    both = (n**2 - (golds**2).sum(axis=1)) * (n**2 - (predicted**2).sum(axis=1))
    return _over(right * n - (golds * predicted).sum(axis=1), np.sqrt(both))


def _per_class(counts: Any, codes: list[int], classes: int) -> Any:
    """Sum the columns of each class."""
    order = np.argsort(codes, kind="stable")
    present, starts = np.unique(np.asarray(codes)[order], return_index=True)
    sums = np.zeros((len(counts), classes))
    sums[:, present] = np.add.reduceat(counts[:, order], starts, axis=1)
    return sums


def _over(numerators: Any, denominators: Any) -> Any:
    # Without a positive, or with one class only, both metrics are 0 by convention.
    return np.divide(numerators, denominators, out=np.zeros_like(numerators), where=denominators > 0)


def _bootstrap(kinds: Counter[tuple[Any, Any]], statistic: Callable[[list[tuple[Any, Any]], Any], Any]) -> float | None:
    if kinds.total() < 2:
        return None
    return float(np.concatenate([statistic(list(kinds), counts) for counts in _resampled(kinds)]).std(ddof=1))


def _resampled(kinds: Counter[tuple[Any, Any]]) -> Iterator[Any]:
    stream = np.random.default_rng(SEED)
    n = kinds.total()
    shares = np.array(list(kinds.values())) / n
    at_once = max(1, min(RESAMPLES, _COUNTS // len(kinds)))
    for start in range(0, RESAMPLES, at_once):
        yield stream.multinomial(n, shares, size=min(at_once, RESAMPLES - start)).astype(float)


def brier(pair: tuple[Any, Any]) -> float:
    """Squared distance, 0 to 2, of one document's probabilities from certainty about the gold index.

    A gold that is no choice counts as one more choice, of probability 0: the score is then 1 or more.
    """
    gold, probabilities = pair
    if isinstance(gold, list | tuple):
        raise TypeError(f"brier_score needs one right choice, found {gold!r}")
    target = np.zeros(len(probabilities))
    if not 0 <= gold < len(probabilities):
        return float(1.0 + np.sum(np.square(probabilities)))
    target[gold] = 1.0
    return float(np.sum((np.asarray(probabilities) - target) ** 2))


def brier_score(pairs: Values) -> float:
    """Mean over documents of (gold, probabilities); the number of choices may differ."""
    return float(np.mean([brier(pair) for pair in pairs]))


def _positives(pairs: Values, choices: int) -> Counts:
    """Of each document: is it a true positive, a false positive, a false negative of class 1."""
    kinds = [(gold == 1, predicted == 1) for gold, predicted in pairs]
    return [(float(g and p), float(p and not g), float(g and not p)) for g, p in kinds]


def _confusion(pairs: Values, choices: int) -> Counts | None:
    """Of each document: a confusion matrix with a single 1, row by row, a row per gold class.

    Classes are in sorted order: those that occur, and all choices, whether or not one of them does. Thus two runs have
    the same classes. None where there are more than twelve, or where they have no order.
    """
    found = {value for pair in pairs for value in pair}
    numbers = all(isinstance(value, int | np.integer) for value in found)
    if not numbers and not all(isinstance(value, str) for value in found):
        return None
    places = {value: place for place, value in enumerate(sorted(found.union(range(choices)) if numbers else found))}
    if len(places) > _MOST_CLASSES:
        return None
    ones = {(g, p): _one(places[g] * len(places) + places[p], len(places) ** 2) for g, p in dict.fromkeys(pairs)}
    return [ones[gold, predicted] for gold, predicted in pairs]


def _one(place: int, length: int) -> tuple[float, ...]:
    return tuple(float(at == place) for at in range(length))


CLASSIFICATION = (
    Aggregation("f1", f1, _f1_stderr, nothing_of, package="sklearn", counts=_positives),
    Aggregation(
        "matthews_corrcoef", matthews_correlation, _matthews_stderr, nothing_of, package="sklearn", counts=_confusion
    ),
    Aggregation(
        "brier_score",
        brier_score,
        lambda pairs: mean_stderr([brier(pair) for pair in pairs]),
        lambda key, pair: number_of(key, brier(pair)),
    ),
)
