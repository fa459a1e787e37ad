"""A sample of a split that is as mixed as the split: stratified, seeded, and fair to every document."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_lmeval.tasks.options import EvaluationOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """``count`` documents of a task, or all where there are no more; ``text`` says why, as in ``detect 1pp``.

    ``column`` names the column whose values are the strata; without one, or where documents lack it, the place in the
    split is all there is. ``among`` are the indices to draw from, where not from the whole split.
    """

    text: str
    count: int
    column: str | None = None
    among: tuple[int, ...] | None = None

    def choose(self, documents: Sequence[Mapping[str, Any]], *, seed: int, task: str) -> Sequence[int]:
        """Return the indices asked, in ascending order; the sample depends on the documents, seed and task alone.

        Each value of ``column`` has its share of the sample, by largest remainders, and at least one document as far
        as ``count`` reaches.
        """
        population = [i for i in self._population(len(documents)) if i < len(documents)]
        if self.count >= len(population):
            return population
        stream = random.Random(f"{seed}:{task}:{self.text}")
        strata = list(self._strata(documents, population))
        counts = allotted(self.count, [len(stratum) for stratum in strata])
        return sorted(i for stratum, n in zip(strata, counts, strict=True) for i in spread(stratum, n, stream))

    def _population(self, total: int) -> Sequence[int]:
        return range(total) if self.among is None else self.among

    def _strata(self, documents: Sequence[Mapping[str, Any]], population: Sequence[int]) -> Iterator[Sequence[int]]:
        if self.column is None:
            yield population
            return
        labels = _labels(documents, self.column)
        groups: dict[str, list[int]] = {}
        for index in population:
            groups.setdefault(labels[index], []).append(index)
        yield from (groups[label] for label in sorted(groups))


@dataclass(frozen=True, slots=True)
class Samples:
    """The samples of a run, by task. Equal ones are told by ``digest``: it is short, they may be long."""

    by_task: Mapping[str, Sample] = field(default_factory=lambda: MappingProxyType({}), repr=False, compare=False)
    digest: str = ""

    @classmethod
    def drawn(cls, by_task: Mapping[str, Sample]) -> Samples:
        """Put samples together."""
        text = repr(sorted(by_task.items(), key=lambda pair: pair[0]))
        return cls(MappingProxyType(dict(by_task)), hashlib.sha256(text.encode()).hexdigest()[:16])

    def of(self, task: str) -> Sample | None:
        """Return the task's sample, None where it has none."""
        return self.by_task.get(task)


def spread(population: Sequence[int], count: int, stream: random.Random) -> Iterator[int]:
    """Cut the population into ``count`` equal stretches and draw one document of each.

    Splits are often sorted by subject or source; this takes as much of each as there is. Where the cuts begin is drawn
    first and the end joins the beginning: so each document has the same chance, ``count`` in ``len(population)``, also
    where the stretches cannot all be equally long.
    """
    total = len(population)
    start = stream.randrange(total) if total else 0
    for position in range(count):
        begin, end = position * total // count, (position + 1) * total // count
        yield population[(start + stream.randrange(begin, end)) % total]


def allotted(count: int, sizes: Sequence[int]) -> list[int]:
    """Divide ``count`` among strata of these sizes, in proportion, by largest remainders.

    Each stratum has one at least, as long as there are enough for that, the larger first, and none more than it has.
    ``count`` is at most the sum of ``sizes``.
    """
    order = sorted(range(len(sizes)), key=lambda at: (-sizes[at], at))
    counts = [0] * len(sizes)
    for at in order[:count]:
        counts[at] = min(1, sizes[at])
    left, total = count - sum(counts), sum(sizes)
    shares = [count * size / total if total else 0.0 for size in sizes]
    for at in order:
        # A stratum that was given more than its share keeps it; whole documents come before remainders.
        more = min(max(0, int(shares[at]) - counts[at]), left)
        counts[at], left = counts[at] + more, left - more
    while left:
        for at in sorted(order, key=lambda at: counts[at] - shares[at]):
            more = min(1, left, sizes[at] - counts[at])
            counts[at], left = counts[at] + more, left - more
    return counts


def chosen(options: EvaluationOptions, documents: Sequence[Mapping[str, Any]], task: str) -> Sequence[int]:
    """Return the indices of the documents that a run with these options asks, in ascending order."""
    sample = options.samples.of(task)
    if sample is not None:
        return sample.choose(documents, seed=options.seed, task=task)
    if options.limit is not None:
        return options.limit.choose(len(documents), seed=options.seed, task=task)
    return range(len(documents))


def evenly(items: Sequence[int], most: int) -> Sequence[int]:
    """Take at most ``most`` of the items, spread evenly over them."""
    if len(items) <= most:
        return items
    return [items[position * len(items) // most] for position in range(most)]


def _labels(documents: Sequence[Mapping[str, Any]], column: str) -> list[str]:
    if column in (getattr(documents, "column_names", None) or ()):
        # Of a table one column is read: documents may be long.
        return [str(value) for value in documents[column]]  # type: ignore[call-overload]
    from pytest_lmeval.tasks.facets import column_value  # not at the top: reading the command line stays cheap

    # The documents of a Python task need not have columns.
    return [str(column_value(row, column)) if isinstance(row, Mapping) else "" for row in documents]
