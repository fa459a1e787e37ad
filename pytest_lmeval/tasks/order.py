"""In which order documents are asked, and with which seed: of further runs, and where somebody watches."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
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


def random_order(indices: Sequence[int], cluster_of: Callable[[int], str | None], *, seed: int, task: str) -> list[int]:
    """Return ``indices`` in an order that depends on seed and task alone: the first of them stand for all.

    Documents of one cluster stay together, in their own order: they are one observation, and begin alike.
    """
    clusters: dict[str | int, list[int]] = {}
    for index in indices:
        label = cluster_of(index)
        clusters.setdefault(index if label is None else label, []).append(index)
    groups = list(clusters.values())
    random.Random(f"order:{seed}:{task}").shuffle(groups)
    return [index for group in groups for index in group]


def sampling_settings(settings: GenerationSettings, *, repeat: int, run: int, repeats: int) -> GenerationSettings:
    """Give repeat ``repeat`` of ``repeats`` in run ``run`` a seed that no other has; greedy decoding has none."""
    step = run * repeats + repeat
    return replace(settings, seed=settings.seed + step) if settings.seed is not None and step else settings
