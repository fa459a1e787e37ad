"""The kinds of attention that models ask for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

pytest.importorskip("torch")

import torch

from pytest_lmeval.backends.hf.attention.interface import Call


@dataclass(frozen=True)
class Kind:
    """A kind of attention; queries and keys are 4 wide."""

    heads: int = 2
    key_heads: int = 2
    value_width: int = 4
    scale: float | None = None
    window: int | None = None
    softcap: float | None = None
    sinks: bool = False

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """Heads and width of queries, keys and values."""
        return (self.heads, 4), (self.key_heads, 4), (self.key_heads, self.value_width)

    def call(self, parts: Sequence[Any], layer: int = 0) -> Call:
        """Ask for attention of a query on keys and values."""
        sinks = torch.linspace(-1, 2, self.heads) if self.sinks else None
        query, key, value = parts
        return Call(layer, query, key, value, self.scale, self.window, self.softcap, sinks)

    def random(self, tokens: int, seed: int, layer: int = 0) -> Call:
        """Ask with random queries, keys and values for a pack; those of its first row are NaN, as padding may be."""
        chance = torch.Generator().manual_seed(seed)
        # As a layer makes them: one token's heads lie side by side.
        parts = [torch.randn(tokens, *size, generator=chance).transpose(0, 1) for size in self.sizes]
        for part in parts:
            part[:, 0] = torch.nan
        return self.call(parts, layer)


KINDS = {
    "plain": Kind(),
    "grouped queries": Kind(heads=6),
    "one key head": Kind(heads=3, key_heads=1),
    "scale": Kind(scale=0.9),
    "window": Kind(window=3),
    "window of one": Kind(window=1),
    "wide window, grouped queries": Kind(heads=4, window=9),
    "window wider than the texts": Kind(window=1000),
    "softcap": Kind(heads=4, softcap=0.7),
    "sinks": Kind(heads=4, sinks=True),
    "sinks and window": Kind(heads=4, sinks=True, window=4),
    "softcap, scale and window": Kind(heads=4, softcap=1.5, scale=1.3, window=2),
    "narrow values": Kind(heads=4, value_width=3),
    "wide values, softcap": Kind(value_width=7, softcap=2.0),
}
