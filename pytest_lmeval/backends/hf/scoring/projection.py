"""From hidden states to log-probabilities of single tokens, without ever holding all logits.

Tiles of rows x vocabulary are reduced as they are computed to what is asked: the log of the sum of exponentials, the
largest logit, and the logits of the tokens in question. Source of the running form: Milakov and Gimelshein 2018,
"Online normalizer calculation for softmax".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass

import torch

# Logits of hidden states (rows x size) for the vocabulary from one token to another.
Slice = Callable[[torch.Tensor, int, int], torch.Tensor]

# Logits in a tile. On a CPU a tile that stays in its cache is reduced at the speed of the cache.
TILE_LOGITS = {"cpu": 2**22, "cuda": 2**28, "mps": 2**26}
TILE_ROWS = {"cpu": 1024, "cuda": 2**14, "mps": 4096}


@dataclass(frozen=True, slots=True)
class Asked:
    """Pairs to score: the token ``tokens[i]`` after the hidden state in row ``rows[i]``; the rows rise.

    They lie on the CPU, which can look them up without waiting for another device.
    """

    rows: torch.Tensor
    tokens: torch.Tensor

    def between(self, first: int, last: int) -> Asked:
        """Return the pairs of rows ``first`` to ``last``, counted from ``first``."""
        low, high = torch.searchsorted(self.rows, torch.tensor([first, last])).tolist()
        return Asked(self.rows[low:high] - first, self.tokens[low:high])


@dataclass(frozen=True, slots=True)
class Found:
    """Per pair ``logprobs`` in nats, and whether the token is ``greedy``: the most probable, of equals the first."""

    logprobs: torch.Tensor
    greedy: torch.Tensor


class Projection:
    """The output layer of one model."""

    def __init__(self, logits: Slice, vocabulary: int, device: str, *, sliced: bool) -> None:
        """``sliced`` says that ``logits`` of a part of the vocabulary cost no more than that part."""
        self._logits = logits
        self._vocabulary = vocabulary
        self._sliced = sliced
        self._padded = False
        # A CPU looks where there is a doubt; any other device would have to be waited for, to know where that is.
        self._first = _first_in_doubt if device == "cpu" else _first
        tile, most = TILE_LOGITS.get(device, TILE_LOGITS["cpu"]), TILE_ROWS.get(device, TILE_ROWS["cpu"])
        self._rows = most if sliced else max(1, min(most, tile // vocabulary))
        self._width = max(1, min(vocabulary, tile // self._rows)) if sliced else vocabulary

    def fixed(self, rows: int) -> Projection:
        """Return the same projection in tiles of exactly ``rows`` rows: a row's result depends on itself alone."""
        other = copy(self)
        other._rows = rows  # with the width as it is, tiles only become smaller
        other._padded = True
        return other

    def bounded(self, logits: int) -> Projection:
        """Return the same projection in tiles of at most so many logits, as far as it comes in tiles."""
        other = copy(self)
        if self._sliced:
            other._width = max(1, min(self._width, logits // self._rows))
        else:
            other._rows = max(1, min(self._rows, logits // self._width))
        return other

    def score(self, hidden: torch.Tensor, asked: Asked) -> Found:
        """Score pairs after ``hidden`` (rows x size)."""
        if self._padded:
            hidden = torch.nn.functional.pad(hidden, (0, 0, 0, -len(hidden) % self._rows))
        parts = [
            self._score(hidden[first : first + self._rows], asked.between(first, first + self._rows))
            for first in range(0, len(hidden), self._rows)
        ]
        return Found(torch.cat([part.logprobs for part in parts]), torch.cat([part.greedy for part in parts]))

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return all logits, rows x vocabulary, in float32; for a few rows."""
        return torch.cat([tile for _, tile in self._tiles(hidden)], dim=-1)

    def _score(self, hidden: torch.Tensor, asked: Asked) -> Found:
        rows, tokens = asked.rows.to(hidden.device), asked.tokens.to(hidden.device)
        largest = torch.full((len(hidden),), -torch.inf, device=hidden.device)
        total, logits = largest.clone(), largest.new_zeros(len(rows))
        greedy = torch.zeros(len(rows), dtype=torch.bool, device=hidden.device)
        for first, tile in self._tiles(hidden):
            peak = tile.amax(-1)
            columns = (tokens - first).clamp(0, tile.shape[1] - 1)
            here, found = columns == tokens - first, tile[rows, columns]
            best = here & (found == peak[rows]) & (found > largest[rows])
            logits = torch.where(here, found, logits)
            greedy = torch.where(here, self._first(tile, rows, columns, best), greedy)
            largest = torch.maximum(largest, peak)
            total = torch.logaddexp(total, _logsumexp(tile, peak))
        return Found(logits - total[rows], greedy & (logits == largest[rows]))

    def _tiles(self, hidden: torch.Tensor) -> Iterator[tuple[int, torch.Tensor]]:
        """Yield logits in float32 with the first token that they are of."""
        for first in range(0, self._vocabulary, self._width):
            yield first, self._logits(hidden, first, min(first + self._width, self._vocabulary)).float()


def _first(tile: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor, best: torch.Tensor) -> torch.Tensor:
    """Whether these logits, which are their rows' largest where it is ``best``, are the first that are so large."""
    return best & (tile.argmax(-1)[rows] == columns)


def _first_in_doubt(tile: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor, best: torch.Tensor) -> torch.Tensor:
    """Return the same, and read only the rows whose largest logits these are."""
    unsure = best.nonzero()[:, 0]
    first = best.clone()
    first[unsure] = tile[rows[unsure]].argmax(-1) == columns[unsure]
    return first


def _logsumexp(tile: torch.Tensor, peak: torch.Tensor) -> torch.Tensor:
    """Log of the sum of exponentials of each row, read off torch's fused softmax: half the time of ``logsumexp``.

    Read at the row's largest logit, ``peak``: a token that the model excludes is too far away to tell.
    """
    found = peak - torch.log_softmax(tile, dim=-1).amax(-1)
    return torch.where(peak == -torch.inf, peak, found)
