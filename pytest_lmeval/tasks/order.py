"""In which order documents are asked, and with which seed, when a task is asked more than once."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from pytest_lmeval.backends.protocol import GenerationSettings


def asking_order(keys: Sequence[int], *, seed: int, task: str, run: int) -> Sequence[int]:
    """Return ``keys`` as they are for run 0, and for each further run in a random order of its own.

    Another order means other neighbours in a batch: what in practice makes a model differ from itself. The order
    depends on seed, task and run alone.
    """
    if not run:
        return keys
    return random.Random(f"{seed}:{task}:run {run}").sample(keys, len(keys))


def sampling_settings(settings: GenerationSettings, *, repeat: int, run: int, repeats: int) -> GenerationSettings:
    """Give repeat ``repeat`` of ``repeats`` in run ``run`` a seed that no other has; greedy decoding has none."""
    step = run * repeats + repeat
    return replace(settings, seed=settings.seed + step) if settings.seed is not None and step else settings
