"""Draw the few-shot examples of every document in advance.

One random stream per task is consumed document after document over the *whole* split, as a full, single-process
run of the reference does. So a document's prompt never depends on selection, limit, sharding or process count.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from pytest_lmeval.errors import DatasetError
from pytest_lmeval.tasks.spec import TaskSpec
from pytest_lmeval.tasks.yaml_loader import FunctionReference

Rows = Sequence[Mapping[str, Any]]


def draw(spec: TaskSpec, pool: Rows, documents: Rows, count: int, seed: int) -> Sequence[tuple[int, ...]]:
    """Return, for each document, the indices into ``pool`` of its ``count`` examples.

    Raises DatasetError where the pool is too small.
    """
    if count == 0:
        return [()] * len(documents)
    sampler = spec.fewshot_config.sampler
    # The reference compares names, and two absent splits are equal: then the drawn set is checked for the
    # evaluated document, which also draws one more from the random stream.
    may_leak = spec.fewshot_config.split == spec.test_split
    if isinstance(sampler, FunctionReference) or sampler not in ("default", "first_n"):
        raise spec.document.error(
            f"fewshot_config.sampler: expected 'default' or 'first_n', found {sampler}", "fewshot_config"
        )
    if count > len(pool):
        raise DatasetError(f"{spec.task}: {count} few-shot examples asked for, the pool has {len(pool)}")
    if sampler == "first_n":
        drawn = _first(pool, documents, count, exclude=may_leak)
    else:
        drawn = _random(spec, pool, documents, count, random.Random(seed), exclude=may_leak)
    if any(len(indices) < count for indices in drawn):
        raise DatasetError(
            f"{spec.task}: {count} few-shot examples asked for, the pool without the document itself has fewer"
        )
    return drawn


def _first(pool: Rows, documents: Rows, count: int, *, exclude: bool) -> Sequence[tuple[int, ...]]:
    if not exclude:
        return [tuple(range(count))] * len(documents)
    others = ((i for i, row in enumerate(pool) if row != document) for document in documents)
    return [tuple(islice(indices, count)) for indices in others]


def _random(
    spec: TaskSpec, pool: Rows, documents: Rows, count: int, stream: random.Random, *, exclude: bool
) -> Sequence[tuple[int, ...]]:
    indices = range(len(pool))
    if not exclude:
        return [tuple(stream.sample(indices, count)) for _ in documents]
    if count + 1 > len(pool):
        raise DatasetError(
            f"{spec.task}: {count} few-shot examples need a pool of {count + 1} (one may be the document itself), "
            f"it has {len(pool)}"
        )
    return [_without(document, pool, stream, count) for document in documents]


def _without(document: Mapping[str, Any], pool: Rows, stream: random.Random, count: int) -> tuple[int, ...]:
    drawn = [i for i in stream.sample(range(len(pool)), count + 1) if pool[i] != document]
    if len(drawn) < count:
        others = [i for i, row in enumerate(pool) if row != document]
        drawn = stream.sample(others, min(count, len(others)))
    return tuple(drawn[:count])
