"""Draw the few-shot examples of every document in advance.

One random stream per task is consumed document after document over the *whole* split, as a full, single-process
run of the reference does. So a document's prompt never depends on selection, limit, sharding or process count.

A document is never among its own examples. The reference leaves it there where the examples come from the
evaluated split without being named as such; here it is replaced by another, and every other prompt stays the same.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from pytest_lmeval.errors import DatasetError
from pytest_lmeval.suggestions import nearest
from pytest_lmeval.tasks.spec import TaskSpec
from pytest_lmeval.tasks.templates import call_for
from pytest_lmeval.tasks.yaml_loader import FunctionReference

Rows = Sequence[Mapping[str, Any]]
Indices = tuple[int, ...]
Keys = Sequence[int]


def draw(spec: TaskSpec, pool: Rows, documents: Rows, count: int, seed: int) -> Sequence[Indices]:
    """Return, for each document, the indices into ``pool`` of its ``count`` examples.

    Raises DatasetError where the pool is too small, TaskFileError where the sampler cannot be used.
    """
    if count == 0:
        return [()] * len(documents)
    if count > len(pool):
        raise DatasetError(f"{spec.task}: {count} few-shot examples asked for, the pool has {len(pool)}")
    drawn = _drawn(spec, pool, documents, count, seed)
    if any(len(indices) < count for indices in drawn):
        raise DatasetError(
            f"{spec.task}: {count} few-shot examples asked for, the pool without the document itself has fewer"
        )
    return drawn


def _drawn(spec: TaskSpec, pool: Rows, documents: Rows, count: int, seed: int) -> Sequence[Indices]:
    sampler = spec.fewshot_config.sampler
    # The reference compares names, and two absent splits are equal: then the drawn set is checked for the
    # evaluated document, which also draws one more from the random stream.
    checked = spec.fewshot_config.split == spec.test_split
    if isinstance(sampler, FunctionReference):
        drawn = _own(spec, sampler, pool, documents, count, seed, checked=checked)
    elif sampler == "first_n":
        drawn = [tuple(range(count))] * len(documents)
    elif sampler == "default":
        stream = random.Random(seed)
        if checked:
            return _checked(spec, _keys(pool), _keys(documents), count, stream)
        drawn = [tuple(stream.sample(range(len(pool)), count)) for _ in documents]
    else:
        hint = nearest(sampler, ("default", "first_n"))
        problem = f"fewshot_config.sampler: expected 'default' or 'first_n', found {sampler}{'.' if hint else ''}{hint}"
        raise spec.document.error(problem, "fewshot_config", "sampler")
    if not checked and pool is not documents:
        return drawn
    return _without_own(_keys(pool), _keys(documents), drawn, None if sampler == "first_n" else seed)


def _keys(rows: Rows) -> Keys:
    """One number a row, equal for equal rows: rows are compared often and their contents are large."""
    return [hash(repr(sorted(row.items()))) for row in rows]


def _checked(spec: TaskSpec, pool: Keys, documents: Keys, count: int, stream: random.Random) -> Sequence[Indices]:
    if count + 1 > len(pool):
        raise DatasetError(
            f"{spec.task}: {count} few-shot examples need a pool of {count + 1} (one may be the document itself), "
            f"it has {len(pool)}"
        )
    return [_without(document, pool, stream, count) for document in documents]


def _without(document: int, pool: Keys, stream: random.Random, count: int) -> Indices:
    drawn = [i for i in stream.sample(range(len(pool)), count + 1) if pool[i] != document]
    if len(drawn) < count:
        # Only copies of one row can bring it here: the reference then draws again, from the others.
        others = list(_others(pool, document))
        drawn = stream.sample(others, min(count, len(others)))
    return tuple(drawn[:count])


def _without_own(pool: Keys, documents: Keys, drawn: Sequence[Indices], seed: int | None) -> Sequence[Indices]:
    """Replace each document among its own examples: by the pool's next rows, or with ``seed`` by random ones.

    The random rows come from a stream apart, so that the other documents' draws stay as they are.
    """
    return [
        indices if all(pool[i] != document for i in indices) else _replaced(pool, document, place, indices, seed)
        for place, (document, indices) in enumerate(zip(documents, drawn, strict=True))
    ]


def _replaced(pool: Keys, document: int, place: int, indices: Indices, seed: int | None) -> Indices:
    if seed is None:
        return tuple(islice(_others(pool, document), len(indices)))
    others = [i for i in _others(pool, document) if i not in indices]
    random.Random(f"{seed}:{place}").shuffle(others)
    spare = iter(others)
    chosen = [i if pool[i] != document else next(spare, None) for i in indices]
    return tuple(i for i in chosen if i is not None)


def _others(pool: Keys, document: int) -> Iterator[int]:
    return (i for i, key in enumerate(pool) if key != document)


def _own(
    spec: TaskSpec, reference: FunctionReference, pool: Rows, documents: Rows, count: int, seed: int, *, checked: bool
) -> Sequence[Indices]:
    """Ask a task's own sampler, a class like the reference's ``ContextSampler``, which returns rows of the pool."""
    rows = [dict(row) for row in pool]
    sampler = call_for(spec.document, "fewshot_config", reference, rows, rnd=seed)
    places = {id(row): place for place, row in enumerate(rows)}

    def sample(document: Mapping[str, Any]) -> Indices:
        try:
            chosen = sampler.sample(n=count, eval_doc=dict(document) if checked else None)
        except Exception as error:  # a task's own sampler may raise anything
            problem = f"fewshot_config: {reference}: {type(error).__name__}: {error}"
            raise spec.document.error(problem, "fewshot_config") from error
        return tuple(_place(spec, places, rows, row) for row in chosen)

    return [sample(document) for document in documents]


def _place(spec: TaskSpec, places: Mapping[int, int], rows: Rows, row: Any) -> int:
    """Find a row that the sampler returned: the very object, or one equal to it."""
    if id(row) in places:
        return places[id(row)]
    if row in rows:
        return rows.index(row)
    problem = "fewshot_config.sampler: it returned a row that is not in the pool"
    raise spec.document.error(problem, "fewshot_config")
