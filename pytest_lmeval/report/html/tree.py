"""Which task stands under which group in the overview."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pytest_lmeval.report.html.verdicts import badness
from pytest_lmeval.report.rows import ReportRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A row at its place: ``depth`` is 0 at the top, ``parent`` the number of the group's row, None at the top."""

    number: int
    row: ReportRow
    depth: int
    parent: int | None
    children: int


def in_order(rows: Sequence[ReportRow], members: Mapping[int, Sequence[str]]) -> Iterator[Node]:
    """Yield the rows worst first, every group before its own; ``members`` are the leaves of the groups' rows.

    A row belongs to the smallest group of its model that has it.
    """
    parents = {number: _parent(number, rows, members) for number in range(len(rows))}
    yield from _below(None, 0, rows, parents)


def _below(
    parent: int | None, depth: int, rows: Sequence[ReportRow], parents: Mapping[int, int | None]
) -> Iterator[Node]:
    own = [number for number in parents if parents[number] == parent]
    for number in sorted(own, key=lambda number: (*badness(rows[number]), number)):
        children = sum(above == number for above in parents.values())
        yield Node(number=number, row=rows[number], depth=depth, parent=parent, children=children)
        yield from _below(number, depth + 1, rows, parents)


def _parent(number: int, rows: Sequence[ReportRow], members: Mapping[int, Sequence[str]]) -> int | None:
    row = rows[number]
    own = set(members.get(number, ())) or {row.task}
    groups = [
        (len(leaves), group)
        for group, leaves in members.items()
        if group != number and rows[group].model == row.model and own < set(leaves) | {row.task} and own <= set(leaves)
    ]
    larger = [found for found in groups if not members.get(number) or found[0] > len(own)]
    return min(larger)[1] if larger else None
