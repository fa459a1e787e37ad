"""Attention on a path in few calls, however many stretches a pack has: for devices where each call costs a launch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from torch.nn.attention.bias import causal_lower_right

from pytest_lmeval.backends.hf.attention.blocks import BATCH_BYTES, Block, Sight, Sizes, batches, blocks, padded, paths
from pytest_lmeval.backends.hf.attention.interface import Attention, Call, scaled_dot_product
from pytest_lmeval.backends.hf.attention.path import Leave, PathAttention, PathMemory, Stretch

# Fused kernels read a mask whose rows are no multiple of this only after they have copied it, in every layer.
MASK_ALIGNMENT = 16

# Bytes of a score where attention is spelled out: in float32, and what is made of them on the way.
SPELLED_OUT_BYTES = 12

# Window, sizes, and the device and the type of the masks: layers that agree in these share a plan.
_Kind: TypeAlias = tuple[int | None, Sizes, int, torch.device, torch.dtype]


def path_attention(
    device: torch.device,
    memory: PathMemory,
    stretches: Sequence[Stretch],
    leave: Leave | None = None,
    *,
    together: bool = True,
) -> Attention:
    """Return the attention that suits the device: a CPU loses nothing by a loop, and nothing is padded there.

    Without ``together`` a stretch's result depends on nothing but its text, to the last bit.
    """
    if isolates(device, together=together):
        return PathAttention(memory, stretches, leave, apart=together)
    return BatchedAttention(memory, stretches, leave)


def isolates(device: torch.device, *, together: bool) -> bool:
    """Whether the attention for this device looks at one text at a time: in a block a NaN reaches all."""
    return device.type == "cpu" or not together


class BatchedAttention:
    """Does what ``PathAttention`` does, in batches. Rows rise from stretch to stretch.

    Nothing is read from the memory after the pack has been written to it, so each stretch finds its path as it was at
    its turn: in the memory as it was before the pack, or in a row of the pack. A mask does not hide a NaN: where a
    text has one, all texts of its block have.
    """

    def __init__(self, memory: PathMemory, stretches: Sequence[Stretch], leave: Leave | None = None) -> None:
        self._memory = memory
        self._stretches = stretches
        self._leave = leave or {}
        self._longest = max(stretch.end for stretch in stretches)
        self._plans: dict[_Kind, _Plan] = {}
        self._ends: dict[torch.device, _Ends] = {}

    def attend(self, call: Call) -> torch.Tensor:
        """Return tokens x heads x width."""
        kept = self._memory.room(call, self._longest)
        before = max(stretch.start for stretch in self._stretches)
        key, value = (
            torch.cat([new.transpose(0, 1), old[:, :before].transpose(0, 1)])
            for new, old in zip((call.key, call.value), kept, strict=True)
        )
        tokens = call.query.shape[1]
        # One row more, where padding ends up. Zeros: rows of no stretch are padding, too, and NaN would spread.
        output = call.value.new_zeros(tokens + 1, call.query.shape[0], call.value.shape[2])
        for rows, found in self._plan(call).attend(call, key, value):
            output.index_copy_(0, rows, found.flatten(0, 1))
        ends = self._ends_on(call)
        for number, sources in ends.leaving.items():
            self._leave[number](call, key[sources].transpose(0, 1), value[sources].transpose(0, 1))
        for new, old in zip((key, value), kept, strict=True):
            old[:, ends.positions] = new[ends.sources].transpose(0, 1)
        return output[:tokens]

    def _plan(self, call: Call) -> _Plan:
        window = call.window if call.window is not None and call.window < self._longest else None
        group = call.query.shape[0] // call.key.shape[0]
        kind = window, _sizes(call, group), group, call.query.device, call.query.dtype
        if kind not in self._plans:
            self._plans[kind] = _Plan.of(self._stretches, call.query.shape[1], kind)
        return self._plans[kind]

    def _ends_on(self, call: Call) -> _Ends:
        device = call.query.device
        if device not in self._ends:
            self._ends[device] = _Ends.of(self._stretches, call.query.shape[1], list(self._leave), device)
        return self._ends[device]


def _sizes(call: Call, group: int) -> Sizes:
    key = (call.key.shape[0] * (call.key.shape[2] + call.value.shape[2])) * call.key.element_size()
    if call.softcap is not None or call.sinks is not None:
        return Sizes(key, call.query.shape[0] * SPELLED_OUT_BYTES, masked=True)
    return Sizes(key, group * call.query.element_size())


@dataclass(frozen=True, slots=True)
class _Ends:
    """What is left of a pack: ``sources`` of the last path, at ``positions`` that it changed, and of those to leave."""

    sources: torch.Tensor
    positions: torch.Tensor
    leaving: dict[int, torch.Tensor]

    @classmethod
    def of(cls, stretches: Sequence[Stretch], tokens: int, leaving: Sequence[int], device: torch.device) -> _Ends:
        longest = max(stretch.end for stretch in stretches)
        left: dict[int, torch.Tensor] = {}
        for number, (stretch, path) in enumerate(paths(stretches, tokens, longest)):
            if number in leaving:
                left[number] = torch.tensor(path[: stretch.end], device=device)
        changed = (path < tokens).nonzero()[0]
        return cls(torch.tensor(path[changed], device=device), torch.tensor(changed, device=device), left)


@dataclass(frozen=True, slots=True)
class _Sources:
    """Of each source of keys its position in a text and the rows that may see it: from ``first`` to before ``end``."""

    position: torch.Tensor
    first: torch.Tensor
    end: torch.Tensor

    @classmethod
    def of(cls, stretches: Sequence[Stretch], tokens: int, device: torch.device) -> _Sources:
        longest = max(stretch.end for stretch in stretches)
        path = np.arange(tokens, tokens + longest)
        position = np.concatenate([np.zeros(tokens, dtype=np.int64), np.arange(longest)])
        end = np.full(tokens + longest, tokens)
        for stretch in stretches:
            rows, places = np.arange(stretch.row, stretch.row + stretch.length), slice(stretch.start, stretch.end)
            end[path[places]] = rows
            path[places] = rows
            position[rows] = np.arange(stretch.start, stretch.end)
        first = np.where(np.arange(tokens + longest) < tokens, np.arange(tokens + longest), -1)
        return cls(*(torch.tensor(numbers, device=device) for numbers in (position, first, end)))

    def hidden(self, rows: torch.Tensor, keys: torch.Tensor, window: int | None) -> torch.Tensor:
        """Return blocks x tokens x keys: whether ``rows`` (blocks x tokens) do not see ``keys`` (blocks x keys)."""
        here, there = self.position[rows][..., None], self.position[keys][:, None]
        hidden = (there > here) | (self.first[keys][:, None] > rows[..., None])
        hidden |= self.end[keys][:, None] <= rows[..., None]
        return hidden if window is None else hidden | (there <= here - window)


@dataclass(frozen=True, slots=True)
class _Batch:
    """Blocks done at once: ``rows`` are blocks x tokens, ``keys`` blocks x keys, of which some are ``unused`` padding.

    ``targets`` are the rows in one line, those of padding the one after the last.
    """

    rows: torch.Tensor
    targets: torch.Tensor
    keys: torch.Tensor
    unused: torch.Tensor
    sight: Sight

    @classmethod
    def of(cls, parts: Sequence[Block], tokens: int, device: torch.device) -> _Batch:
        """Pad blocks of a pack of ``tokens`` rows."""
        sight = parts[0].sight
        rows, spare = padded([part.rows for part in parts])
        keys, unused = padded([part.keys for part in parts], MASK_ALIGNMENT if sight is Sight.MASKED else 1)
        return cls(
            rows=torch.tensor(rows, device=device),
            targets=torch.tensor(np.where(spare, tokens, rows).ravel(), device=device),
            keys=torch.tensor(keys, device=device),
            unused=torch.tensor(unused, device=device),
            sight=sight,
        )

    @property
    def scores(self) -> int:
        """Scores of a mask."""
        return self.rows.numel() * self.keys.shape[1] if self.sight is Sight.MASKED else 0


class _Plan:
    """The batches of a pack for layers of one kind, on one device."""

    def __init__(self, parts: list[_Batch], sources: _Sources, kind: _Kind) -> None:
        self._batches = parts
        self._sources = sources
        self._window, self._sizes, self._group, _, self._dtype = kind
        self._keep = sum(batch.scores for batch in parts) * self._sizes.score <= BATCH_BYTES
        self._masks: dict[int, torch.Tensor] = {}

    @classmethod
    def of(cls, stretches: Sequence[Stretch], tokens: int, kind: _Kind) -> _Plan:
        """Cut a pack of ``tokens`` rows."""
        window, sizes, _, device, _ = kind
        parts = batches(blocks(stretches, tokens, window, sizes), sizes)
        return cls([_Batch.of(part, tokens, device) for part in parts], _Sources.of(stretches, tokens, device), kind)

    def attend(self, call: Call, key: torch.Tensor, value: torch.Tensor) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield rows, and for each heads x width. ``key`` and ``value`` are sources x heads x width."""
        for number, batch in enumerate(self._batches):
            parts = _fetch(call.query.transpose(0, 1), batch.rows), _fetch(key, batch.keys), _fetch(value, batch.keys)
            if batch.sight is Sight.MASKED:
                found = self._masked(call, *parts, self._mask(number))
            else:
                found = _causal(call, *parts)
            yield batch.targets, found

    def _masked(
        self, call: Call, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor
    ) -> torch.Tensor:
        """Attention of blocks x heads x tokens x width; the result is blocks x tokens x heads x width."""
        count, heads, tokens, width = query.shape
        if not self._sizes.masked:
            # Tokens of the heads that share keys become tokens of one head: no kernel for masks repeats keys itself.
            query = query.reshape(count, key.shape[1], -1, width)
        found = scaled_dot_product(call, query, key, value, mask)
        return found.reshape(count, heads, tokens, -1).transpose(1, 2)

    def _mask(self, number: int) -> torch.Tensor:
        """Return blocks x 1 x tokens x keys; the tokens are there for each head that shares keys."""
        if number in self._masks:
            return self._masks[number]
        batch = self._batches[number]
        hidden = self._sources.hidden(batch.rows, batch.keys, self._window) | batch.unused[:, None]
        mask = torch.zeros(hidden.shape, dtype=self._dtype, device=hidden.device).masked_fill_(hidden, -torch.inf)
        mask = mask.repeat(1, 1 if self._sizes.masked else self._group, 1)[:, None]
        if self._keep:
            self._masks[number] = mask
        return mask


def _fetch(parts: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Return blocks x heads x places x width of ``parts``, which are rows x heads x width."""
    found = parts.index_select(0, places.flatten())
    return found.view(*places.shape, *parts.shape[1:]).transpose(1, 2)


def _causal(call: Call, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Attention of the last tokens on all up to their own; the result is blocks x tokens x heads x width.

    Keys are repeated here: in float32 no fused kernel does it, and they are few next to what such tokens cost.
    """
    group = query.shape[1] // key.shape[1]
    key, value = (part.repeat_interleave(group, dim=1) for part in (key, value))
    square = query.shape[2] == key.shape[2]
    mask = None if square else causal_lower_right(query.shape[2], key.shape[2])
    found = torch.nn.functional.scaled_dot_product_attention(
        query, key, value, attn_mask=mask, is_causal=square, scale=call.scale
    )
    return found.transpose(1, 2)
