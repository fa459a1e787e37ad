"""Estimate a benchmark's score from the scores on a hundred of its items (gp-IRT, arXiv 2402.14992).

The item response models are the authors', in their package tinyBenchmarks, which downloads them when first used.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from importlib.util import find_spec

import numpy as np

# Said when the task is prepared, not after the model has answered.
if find_spec("tinyBenchmarks") is None:
    raise ImportError(
        "the estimator is not installed: pip install git+https://github.com/felipemaiapolo/tinyBenchmarks"
    )


def _estimate(scores: Sequence[float], benchmark: str) -> float:
    """Return the estimated score on all items. ``scores`` are those of the hundred, in the dataset's order."""
    import tinyBenchmarks

    return float(tinyBenchmarks.evaluate(np.array(scores), benchmark)[benchmark]["gpirt"])


arc = functools.partial(_estimate, benchmark="arc")
gsm8k = functools.partial(_estimate, benchmark="gsm8k")
hellaswag = functools.partial(_estimate, benchmark="hellaswag")
mmlu = functools.partial(_estimate, benchmark="mmlu")
truthfulqa = functools.partial(_estimate, benchmark="truthfulqa")
winogrande = functools.partial(_estimate, benchmark="winogrande")
