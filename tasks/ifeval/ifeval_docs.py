"""IFEval's checks, which are those of the installed lm-eval, made repeatable.

One of them detects languages by sampling, and a few draw at random what a document leaves out. A regression test must
not depend on that: here each document has its own fixed draws, which are among those that the reference may make.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import langdetect
from lm_eval.tasks.ifeval import utils
from lm_eval.tasks.leaderboard.ifeval import utils as leaderboard_utils

Checks = Callable[[dict[str, Any], list[str]], dict[str, Any]]


def process_results(doc: dict[str, Any], results: list[str]) -> dict[str, Any]:
    """Check the answer against the document's instructions."""
    return _repeatable(utils.process_results, doc, results)


def process_results_of_leaderboard(doc: dict[str, Any], results: list[str]) -> dict[str, Any]:
    """Check the answer against the document's instructions, as the leaderboard does."""
    return _repeatable(leaderboard_utils.process_results, doc, results)


def share_followed(documents: list[list[bool]]) -> float:
    """Return the share of single instructions that were followed."""
    followed = [one for instructions in documents for one in instructions]
    return sum(followed) / len(followed)


def _repeatable(checks: Checks, doc: dict[str, Any], results: list[str]) -> dict[str, Any]:
    langdetect.DetectorFactory.seed = 0
    state = random.getstate()
    random.seed(int(doc["key"]))
    try:
        return checks(doc, results)
    finally:
        random.setstate(state)
