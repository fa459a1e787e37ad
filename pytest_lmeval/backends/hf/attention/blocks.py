"""How attention over a pack is cut where starting work costs more than doing it: into blocks, and blocks into batches.

A block is a run of stretches that see much the same keys: these are fetched once for all of its tokens. A batch is
blocks of similar size, padded to one shape.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from pytest_lmeval.backends.hf.attention.path import Stretch, first_seen

Numbers: TypeAlias = npt.NDArray[np.int64]

# What a key costs that is fetched for a block, in tokens that see it. Kernels do about so many tokens at once anyway.
KEY_COST = 64

# A stretch of so many tokens is not worth a mask, however much it has before it.
LONG = 512

# Part of a batch that may be padding, and the scores whose worth in time is starting one more batch.
PADDING, FREE = 0.2, 2**18

# Bytes that a batch may take up. Masks stay for all layers where all of them together take up no more.
BATCH_BYTES = 2**29


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes that attention takes up: for a ``key`` and its value in all heads, for one token's ``score`` of one key.

    ``masked`` says that every block needs a mask.
    """

    key: int
    score: int
    masked: bool = False


class Sight(IntEnum):
    """What the tokens of a block see of its keys: what a mask says, or all up to their own.

    SQUARE has as many keys as tokens; of OBLONG there are more, and the last key is the last token's.
    """

    MASKED = 0
    SQUARE = 1
    OBLONG = 2


@dataclass(frozen=True, slots=True)
class Block:
    """Tokens by their row in the pack, and where the keys come from that any of them sees.

    Sources below the number of tokens in the pack are its rows, those from there on positions of the path memory.
    """

    rows: Numbers
    keys: Numbers
    sight: Sight

    @property
    def scores(self) -> int:
        """Scores to compute."""
        return len(self.rows) * len(self.keys)

    @property
    def order(self) -> tuple[int, int, int]:
        """Blocks that go well together are neighbours in this order."""
        return self.sight, len(self.keys), len(self.rows)


def paths(stretches: Iterable[Stretch], tokens: int, longest: int) -> Iterator[tuple[Stretch, Numbers]]:
    """Yield each stretch with the sources of the path at its turn, by position. It is the same array each time."""
    path = np.arange(tokens, tokens + longest)
    for stretch in stretches:
        path[stretch.start : stretch.end] = np.arange(stretch.row, stretch.row + stretch.length)
        yield stretch, path


def blocks(stretches: Sequence[Stretch], tokens: int, window: int | None, sizes: Sizes) -> list[Block]:
    """Cut a pack of ``tokens`` rows into blocks; each stretch of it is in one, or in several that follow each other."""
    longest = max(stretch.end for stretch in stretches)
    held = np.full(tokens + longest, -1)
    found: list[Block] = []
    draft = _Draft()
    for piece, path in paths(_pieces(stretches, _most(longest, window, sizes)), tokens, longest):
        seen = path[first_seen(piece.start, window) : piece.end]
        new = seen[held[seen] != len(found)]
        if draft.tokens and not draft.worth(piece.length, len(new), len(seen)):
            found.append(draft.block(window, sizes))
            draft, new = _Draft(), seen.copy()
        held[new] = len(found)
        draft.add(piece, new)
    return [*found, draft.block(window, sizes)]


def _most(longest: int, window: int | None, sizes: Sizes) -> int:
    """Return how many tokens of a stretch may be in one block: with a window, many would see few of their keys."""
    if window is None and not sizes.masked:
        return longest
    fitting = BATCH_BYTES // (longest * sizes.score)
    return max(1, fitting if window is None else min(fitting, max(KEY_COST, window // 2)))


def _pieces(stretches: Iterable[Stretch], most: int) -> Iterator[Stretch]:
    for stretch in stretches:
        for done in range(0, stretch.length, most):
            yield Stretch(stretch.row + done, stretch.start + done, min(most, stretch.length - done))


def _cost(tokens: int, keys: int) -> int:
    return (tokens + KEY_COST) * keys


@dataclass(slots=True)
class _Draft:
    """A block under way."""

    pieces: list[Stretch] = field(default_factory=list)
    keys: list[Numbers] = field(default_factory=list)
    tokens: int = 0
    width: int = 0

    def worth(self, tokens: int, new: int, alone: int) -> bool:
        """Whether to add ``tokens`` that see ``new`` more keys, ``alone`` keys in all.

        They are, where that costs less than a block of their own, and a token of the block no more than before.
        """
        before, after = _cost(self.tokens, self.width), _cost(self.tokens + tokens, self.width + new)
        return after <= before + _cost(tokens, alone) and after * self.tokens <= before * (self.tokens + tokens)

    def add(self, piece: Stretch, new: Numbers) -> None:
        self.pieces.append(piece)
        self.keys.append(new)
        self.tokens += piece.length
        self.width += len(new)

    def block(self, window: int | None, sizes: Sizes) -> Block:
        rows = np.concatenate([np.arange(piece.row, piece.row + piece.length) for piece in self.pieces])
        return Block(rows, np.concatenate(self.keys), self._sight(window, sizes))

    def _sight(self, window: int | None, sizes: Sizes) -> Sight:
        first = self.pieces[0]
        if sizes.masked or len(self.pieces) > 1 or (window is not None and window < first.end):
            return Sight.MASKED
        if not first.start:
            return Sight.SQUARE
        return Sight.OBLONG if first.length >= LONG else Sight.MASKED


def batches(parts: Iterable[Block], sizes: Sizes) -> list[list[Block]]:
    """Sort blocks into batches: in each the sight is the same, and both padding and memory are bounded."""
    found: list[_Batch] = []
    for block in sorted(parts, key=lambda part: part.order, reverse=True):
        if not found or not found[-1].takes(block, sizes):
            found.append(_Batch(len(block.keys)))
        found[-1].add(block)
    return [batch.blocks for batch in found]


@dataclass(slots=True)
class _Batch:
    """A batch under way; the first block has the most keys."""

    keys: int
    tokens: int = 0
    needed: int = 0
    blocks: list[Block] = field(default_factory=list)

    def takes(self, block: Block, sizes: Sizes) -> bool:
        first = self.blocks[0]
        if first.sight != block.sight or (block.sight is Sight.OBLONG and first.order != block.order):
            return False
        count, tokens = len(self.blocks) + 1, max(self.tokens, len(block.rows))
        padded = count * tokens * self.keys
        score = sizes.score if block.sight is Sight.MASKED else 0
        within = padded * score + count * self.keys * sizes.key <= BATCH_BYTES
        return within and padded - self.needed - block.scores <= max(FREE, PADDING * padded)

    def add(self, block: Block) -> None:
        self.blocks.append(block)
        self.tokens = max(self.tokens, len(block.rows))
        self.needed += block.scores


def padded(rows: Sequence[Numbers], multiple: int = 1) -> tuple[Numbers, npt.NDArray[np.bool_]]:
    """Return ``rows`` as a table, as wide as the longest up to the next ``multiple``, and which of it is padding.

    Padding is each row's own first number again: what it stands for is finite where the row is, and nobody else's is.
    """
    width = -(-max(len(row) for row in rows) // multiple) * multiple
    table = np.stack([np.concatenate([row, np.full(width - len(row), row[0])]) for row in rows])
    lengths = np.array([[len(row)] for row in rows])
    return table, np.arange(width) >= lengths
