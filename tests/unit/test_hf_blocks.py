"""Packs cut into blocks and batches: who sees what, and how much of it is padding."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, cycle, islice, repeat

import numpy as np
import pytest

pytest.importorskip("torch")

from pytest_lmeval.backends.hf.attention import blocks as module
from pytest_lmeval.backends.hf.attention.blocks import Block, Sight, Sizes, batches, blocks, padded, paths
from pytest_lmeval.backends.hf.attention.path import Stretch, first_seen

from .test_hf_batched import packs

# Eight key heads of width 128 and four query heads for each, in two bytes.
SIZES = Sizes(key=4096, score=8)
SPELLED_OUT = Sizes(key=4096, score=384, masked=True)

Parts = Iterable[tuple[int, int]]


def pack_of(parts: Parts, tokens: int = 16_384) -> list[Stretch]:
    """As many parts (start and length) as there is room for."""
    found, row = [], 0
    for start, length in parts:
        if row + length > tokens:
            break
        found.append(Stretch(row, start, length))
        row += length
    return found


def questions(context: int, *choices: int, before: int = 0) -> Iterator[tuple[int, int]]:
    """Contexts, each with its choices, all after the same ``before``."""
    return cycle([(before, context), *((before + context, choice) for choice in choices)])


# How a pack of a GPU looks, and how many scores may be computed for one that attention stretch by stretch computes.
SHAPES: dict[str, tuple[Parts, float]] = {
    "four endings after a short context": (questions(60, 25, 25, 25, 25), 1.6),
    "questions after five shots": (chain([(0, 520)], repeat((520, 77))), 1.2),
    "long questions after long shots": (chain([(0, 1440)], repeat((1440, 200))), 1.2),
    "short choices after many shots": (chain([(0, 1024)], questions(40, 8, 8, 8, 8, before=1024)), 1.3),
    "windows": (repeat((0, 2048)), 1.01),
    "windows, the first of them in part": (chain([(700, 1348)], repeat((0, 2048))), 1.01),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_padding_is_bounded_and_batches_are_few(shape: str) -> None:
    parts, most = SHAPES[shape]
    pack = pack_of(parts)
    found = batches(blocks(pack, 16_384, None, SIZES), SIZES)
    assert len(found) <= 4
    needed = sum(stretch.length * stretch.end for stretch in pack)
    assert sum(map(scores, found)) <= most * needed


def scores(batch: list[Block]) -> int:
    return len(batch) * max(len(block.rows) for block in batch) * max(len(block.keys) for block in batch)


def test_keys_that_many_share_are_fetched_for_many_at_once() -> None:
    pack = pack_of(SHAPES["short choices after many shots"][0])
    fetched = sum(len(block.keys) for block in blocks(pack, 16_384, None, SIZES))
    assert fetched < 0.1 * sum(stretch.end for stretch in pack)


@pytest.mark.parametrize("sizes", [SIZES, SPELLED_OUT])
@pytest.mark.parametrize("window", [None, 1, 3, 9, 1000])
@pytest.mark.parametrize("seed", range(3))
def test_blocks_hold_each_row_once_and_just_the_keys_it_sees(seed: int, window: int | None, sizes: Sizes) -> None:
    for pack in packs(seed, 60):
        tokens = pack[-1].row + pack[-1].length
        found = blocks(pack, tokens, window, sizes)
        assert [row for block in found for row in block.rows] == list(range(1, tokens))
        for block in found:
            assert len(set(block.keys)) == len(block.keys)
            assert set(block.keys) == seen_by(pack, tokens, set(block.rows), window)


def seen_by(pack: list[Stretch], tokens: int, rows: set[int], window: int | None) -> set[int]:
    """The sources that some of ``rows`` see."""
    seen: set[int] = set()
    for stretch, path in paths(pack, tokens, max(stretch.end for stretch in pack)):
        for place in range(stretch.length):
            if stretch.row + place in rows:
                position = stretch.start + place
                seen.update(path[first_seen(position, window) : position + 1].tolist())
    return seen


def test_long_stretches_need_no_mask() -> None:
    pack = pack_of([(0, 30), (30, 600), (0, 700), (200, 20)])
    assert [block.sight for block in blocks(pack, 1350, None, SIZES)] == [
        Sight.SQUARE,
        Sight.OBLONG,
        Sight.SQUARE,
        Sight.MASKED,
    ]
    assert {block.sight for block in blocks(pack, 1350, None, SPELLED_OUT)} == {Sight.MASKED}
    assert blocks(pack, 1350, 64, SIZES)[2].sight is Sight.MASKED


@pytest.mark.parametrize("sizes", [SIZES, SPELLED_OUT])
def test_memory_is_bounded(sizes: Sizes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BATCH_BYTES", 2**24)
    pack = pack_of(islice(SHAPES["questions after five shots"][0], 100))
    found = batches(blocks(pack, 16_384, None, sizes), sizes)
    for batch in found:
        score = sizes.score if batch[0].sight is Sight.MASKED else 0
        keys = len(batch) * max(len(block.keys) for block in batch)
        assert len(batch) == 1 or scores(batch) * score + keys * sizes.key <= 2**24
    assert sum(len(block.rows) for batch in found for block in batch) == sum(stretch.length for stretch in pack)


def test_padding_repeats_a_rows_own_first() -> None:
    table, padding = padded([np.array([3, 4, 5]), np.array([7])], multiple=4)
    assert table.tolist() == [[3, 4, 5, 3], [7, 7, 7, 7]]
    assert padding.tolist() == [[False, False, False, True], [False, True, True, True]]
