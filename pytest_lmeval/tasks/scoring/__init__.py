"""From a document's filtered responses to its value of every metric."""

from __future__ import annotations

from pytest_lmeval.tasks.scoring.choices import chosen, gold_indices, margin
from pytest_lmeval.tasks.scoring.scorer import Scorer

__all__ = ["Scorer", "chosen", "gold_indices", "margin"]
