"""Keys and values of one path through a trie, and attention that reads and extends it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from pytest_lmeval.backends.hf.attention.interface import Call, causal_mask, scaled_dot_product
from pytest_lmeval.backends.hf.attention.merging import Partial, merge, mergeable, partial_attention

# Buffers grow by so many positions at once, not with every text that is a little longer.
GROWTH = 256

# So many tokens are worth to be attended to apart, without a mask: what all stretches of a pack have before them, in
# one product, or what a long stretch has. Measured on 2 CPU cores: stretches of 8 tokens after 1,024 take a third of
# the time, of 77 after 519 nine tenths, of 200 after 1,440 the same.
LONG = 64


@dataclass(frozen=True, slots=True)
class Stretch:
    """Tokens that follow each other in a text: the first is at ``row`` of the pack and at ``start`` of the text."""

    row: int
    start: int
    length: int

    @property
    def end(self) -> int:
        """The position after the last token."""
        return self.start + self.length


class PathMemory:
    """Keys and values by layer and position; room is made as longer texts come."""

    def __init__(self) -> None:
        self._layers: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def room(self, call: Call, positions: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the layer's keys and values, each heads x at least ``positions`` x width."""
        kept = self._layers.get(call.layer)
        if kept is None or kept[0].shape[1] < positions:
            capacity = -(-positions // GROWTH) * GROWTH
            grown = (_longer(call.key, kept and kept[0], capacity), _longer(call.value, kept and kept[1], capacity))
            kept = self._layers[call.layer] = grown
        return kept

    def clear(self) -> None:
        """Give the memory back."""
        self._layers.clear()


def _longer(like: torch.Tensor, kept: torch.Tensor | None, capacity: int) -> torch.Tensor:
    longer = like.new_empty(like.shape[0], capacity, like.shape[2])
    if kept is not None:
        longer[:, : kept.shape[1]] = kept
    return longer


# Takes keys and values of a path, each heads x positions x width.
Take = Callable[[Call, torch.Tensor, torch.Tensor], None]

# What takes the path to the end of a stretch, by the number of the stretch; those that nobody needs are not there.
Leave = Mapping[int, Take]


class PathAttention:
    """Each stretch sees what lies before it on the path, and itself up to each token; then it is part of the path.

    The stretches come in depth-first order: before each, the path up to its start is that of its text.
    """

    def __init__(
        self, memory: PathMemory, stretches: Sequence[Stretch], leave: Leave | None = None, *, apart: bool = True
    ) -> None:
        """``apart`` lets stretches attend to what they have before them in a part of its own, if they can together.

        Rounding then depends on what else is in the pack.
        """
        self._memory = memory
        self._stretches = stretches
        self._leave = leave or {}
        self._longest = max(stretch.end for stretch in stretches)
        self._apart = apart
        common = min(stretch.start for stretch in stretches)
        self._common = common if apart and common >= LONG else 0
        self._masks: dict[tuple[int, int, int | None, torch.device], torch.Tensor] = {}

    def attend(self, call: Call) -> torch.Tensor:
        """Return tokens x heads x width."""
        keys, values = self._memory.room(call, self._longest)
        # Zeros, not whatever memory holds: rows of no stretch are padding, and NaN would spread.
        output = call.value.new_zeros(call.query.shape[1], call.query.shape[0], call.value.shape[2])
        whole = (call.window or self._longest) >= self._longest
        common = self._common if whole and mergeable(call) else 0
        before = partial_attention(call, call.query, keys[:, :common], values[:, :common]) if common else None
        for number, stretch in enumerate(self._stretches):
            rows, places = slice(stretch.row, stretch.row + stretch.length), slice(stretch.start, stretch.end)
            keys[:, places] = call.key[:, rows]
            values[:, places] = call.value[:, rows]
            query = call.query[:, rows]
            if before is not None:
                earlier: Partial | None = before.rows(rows)
                start = common
            elif whole and self._worth_apart(call, stretch):
                start = stretch.start
                earlier = partial_attention(call, query, keys[:, :start], values[:, :start])
            else:
                earlier, start = None, first_seen(stretch.start, call.window)
            mask = self._mask(stretch.length, stretch.end - start, call)
            parts = query, keys[:, start : stretch.end], values[:, start : stretch.end]
            if earlier is None:
                one, key, value = (part[None] for part in parts)
                found = scaled_dot_product(call, one, key, value, mask)[0]
            else:
                causal = mask is None and stretch.length > 1
                found = merge(earlier, partial_attention(call, *parts, mask, causal=causal))
            output[rows] = found.transpose(0, 1)
            if number in self._leave:
                self._leave[number](call, keys[:, : stretch.end], values[:, : stretch.end])
        return output

    def _worth_apart(self, call: Call, stretch: Stretch) -> bool:
        return self._apart and stretch.start >= LONG and stretch.length >= LONG and mergeable(call)

    def _mask(self, tokens: int, keys: int, call: Call) -> torch.Tensor | None:
        """Return a mask, None where the plain causal one or none at all says the same."""
        window = call.window if call.window is not None and call.window < keys else None
        if window is None and (tokens == keys or tokens == 1):
            return None
        key = (tokens, keys, window, call.query.device)
        if key not in self._masks:
            self._masks[key] = causal_mask(tokens, keys, window, call.query)
        return self._masks[key]


def first_seen(start: int, window: int | None) -> int:
    """Return the first position that a token at ``start`` sees."""
    return 0 if window is None else max(0, start + 1 - window)
