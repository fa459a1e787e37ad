"""Corpus metrics from counts that add up over documents.

The last axis of ``sums`` holds a corpus' counts, in the order in which a document's are kept:

=========================================  ======================================================================
perplexity                                 log-probability (nats), documents
weighted_perplexity, bits_per_byte         log-probability (nats), words or bytes
f1                                         true positives, false positives, false negatives of class 1
matthews_corrcoef                          confusion matrix of K classes, row by row, a row per gold class
bleu                                       candidate's length, reference's length, 4 correct, 4 total n-grams
chrf, chrf++                               candidate's, reference's and matching n-grams, order by order
ter                                        edits, reference's length
=========================================  ======================================================================

Values are those of scikit-learn and sacreBLEU with its default settings, from 0 to 100 for the latter.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike

from pytest_lmeval.gate.statistics.arrays import Floats

# sacreBLEU's constants: n-gram orders, and the weight of recall in chrF (Popović 2015, 2017).
_BLEU_ORDERS = 4
_CHRF_BETA_SQUARED = 4


def has_counts(aggregation: str) -> bool:
    """Tell whether the metric follows from sums of per-document counts."""
    return aggregation in _CORPUS


def corpus_value(aggregation: str, sums: ArrayLike) -> Floats:
    """Compute the metric of every corpus: from ``sums`` [..., k] an array [...].

    Not-a-number where a perplexity has no weight. Raises KeyError for an aggregation without counts (see
    :func:`has_counts`) and ValueError where k is not the aggregation's number of counts.
    """
    array = np.asarray(sums, dtype=np.float64)
    width, value = _CORPUS[aggregation]
    k = array.shape[-1] if array.ndim else 0
    if (k != width) if width else (math.isqrt(k) ** 2 != k or k == 0):
        raise ValueError(f"{aggregation}: expected {width or 'the square of the classes'} counts, found {k}")
    return np.asarray(value(array))


def _perplexity(sums: Floats) -> Floats:
    with np.errstate(over="ignore"):
        return np.asarray(np.exp(-_rate(sums)))


def _bits(sums: Floats) -> Floats:
    return np.asarray(-_rate(sums) / math.log(2))


def _rate(sums: Floats) -> Floats:
    return _over(sums[..., 0], sums[..., 1], math.nan)


def _f1(sums: Floats) -> Floats:
    right, wrong, missed = np.moveaxis(sums, -1, 0)
    return _over(2 * right, 2 * right + wrong + missed, 0.0)


def _matthews(sums: Floats) -> Floats:
    """Multiclass Matthews correlation (Gorodkin, Comput Biol Chem 28:367, 2004); 0 where one class is all there is."""
    classes = math.isqrt(sums.shape[-1])
    matrix = sums.reshape(*sums.shape[:-1], classes, classes)
    n = sums.sum(axis=-1)
    gold, predicted = matrix.sum(axis=-1), matrix.sum(axis=-2)
    right = np.trace(matrix, axis1=-2, axis2=-1)
    squares = (n**2 - np.square(gold).sum(axis=-1)) * (n**2 - np.square(predicted).sum(axis=-1))
    return _over(right * n - (gold * predicted).sum(axis=-1), np.sqrt(squares), 0.0)


def _bleu(sums: Floats) -> Floats:
    """BLEU with exponential smoothing: the k-th order without a match counts as 1 / 2^k matches (mteval-v13a)."""
    length, reference = sums[..., 0], sums[..., 1]
    correct, total = sums[..., 2 : 2 + _BLEU_ORDERS], sums[..., 2 + _BLEU_ORDERS :]
    smoothed = np.where(correct > 0, correct, 0.5 ** np.cumsum(correct == 0, axis=-1))
    # Candidates too short for an n-gram, or without any match, score 0.
    scored = (total > 0).all(axis=-1) & (correct > 0).any(axis=-1)
    logs = np.log(_over(smoothed, total, 1.0)).mean(axis=-1)
    brevity = np.minimum(0.0, 1 - _over(reference, length, math.inf))
    return np.where(scored, 100 * np.exp(logs + brevity), 0.0)


def _chrf(sums: Floats) -> Floats:
    """F-score of the mean precision and recall over the orders that both texts are long enough for."""
    ours, theirs, matching = np.moveaxis(sums.reshape(*sums.shape[:-1], -1, 3), -1, 0)
    counted = (ours > 0) & (theirs > 0)
    orders = counted.sum(axis=-1)
    precision = _over(np.where(counted, _over(matching, ours, 0.0), 0.0).sum(axis=-1), orders, 0.0)
    recall = _over(np.where(counted, _over(matching, theirs, 0.0), 0.0).sum(axis=-1), orders, 0.0)
    weighted = (1 + _CHRF_BETA_SQUARED) * precision * recall
    return np.asarray(100 * _over(weighted, _CHRF_BETA_SQUARED * precision + recall, 0.0))


def _ter(sums: Floats) -> Floats:
    edits, length = sums[..., 0], sums[..., 1]
    # Against empty references every text that is not empty is wrong throughout.
    return 100 * np.where(length > 0, _over(edits, length, 0.0), (edits > 0).astype(np.float64))


def _over(numerators: ArrayLike, denominators: ArrayLike, otherwise: float) -> Floats:
    above, below = np.broadcast_arrays(np.asarray(numerators, np.float64), np.asarray(denominators, np.float64))
    return np.asarray(np.divide(above, below, out=np.full(above.shape, otherwise), where=below > 0))


#: Counts per document, 0 where it depends on the task, and the metric of their sums.
_CORPUS: Mapping[str, tuple[int, Callable[[Floats], Floats]]] = MappingProxyType(
    {
        "perplexity": (2, _perplexity),
        "weighted_perplexity": (2, _perplexity),
        "bits_per_byte": (2, _bits),
        "f1": (3, _f1),
        "matthews_corrcoef": (0, _matthews),
        "bleu": (2 + 2 * _BLEU_ORDERS, _bleu),
        "chrf": (18, _chrf),
        "chrf++": (24, _chrf),
        "ter": (2, _ter),
    }
)
