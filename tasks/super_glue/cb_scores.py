"""CommitmentBank's second score."""

from __future__ import annotations

from collections.abc import Sequence

LABELS = (0, 1, 2)


def mean_f1(pairs: Sequence[tuple[int, int]]) -> float:
    """Return the mean over the three labels of F1; 0 for a label that is neither right nor predicted anywhere.

    ``pairs`` holds the right and the predicted label of each document.
    """
    return sum(_f1(pairs, label) for label in LABELS) / len(LABELS)


def _f1(pairs: Sequence[tuple[int, int]], label: int) -> float:
    hits = sum(gold == label == predicted for gold, predicted in pairs)
    named = sum((gold == label) + (predicted == label) for gold, predicted in pairs)
    return 2 * hits / named if named else 0.0
