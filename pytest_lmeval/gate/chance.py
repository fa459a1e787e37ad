"""Whether a baseline does no better than guessing: then there is nothing that a worse model could lose."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pytest_lmeval.gate.evidence import Evidence
from pytest_lmeval.gate.pairing import Pair
from pytest_lmeval.gate.statistics.estimate import SHOWN_LEVEL
from pytest_lmeval.gate.statistics.intervals import wilson


def chance_level(pairs: Sequence[Pair], evidence: Evidence | None) -> float | None:
    """Return the rate of guessing where the baseline's 95 % interval reaches down to it, else None.

    Only for metrics that are right or wrong, of documents with choices.
    """
    choices = [len(pair.now.choices) for pair in pairs]
    if evidence is None or evidence.regressed is None or not choices or min(choices) < 2:
        return None
    guessing = math.fsum(1 / count for count in choices) / len(choices)
    low, _ = wilson(evidence.baseline * evidence.estimate.n, evidence.estimate.n, SHOWN_LEVEL)
    return guessing if low <= guessing else None
