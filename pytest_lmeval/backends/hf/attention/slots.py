"""Keys and values of texts that are being written, and attention for the next token of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from pytest_lmeval.backends.hf.attention.interface import Call
from pytest_lmeval.backends.text.encoding import Tokens

# Room is made for so many more tokens, and for a quarter more rows, at once.
GROWTH = 128


@dataclass(slots=True)
class _Layer:
    """One layer's: ``base_keys`` are heads x base x width, ``keys`` are rows x heads x room x width, values alike."""

    base_keys: torch.Tensor
    base_values: torch.Tensor
    keys: torch.Tensor
    values: torch.Tensor

    def grow(self, rows: int, tokens: int) -> None:
        """Make room for ``rows`` rows of ``tokens`` tokens."""
        if self.keys.shape[0] < rows or self.keys.shape[2] < tokens:
            rows = self.keys.shape[0] if self.keys.shape[0] >= rows else rows + rows // 4
            tokens = max(self.keys.shape[2], -(-tokens // GROWTH) * GROWTH)
            self.keys, self.values = _larger(self.keys, rows, tokens), _larger(self.values, rows, tokens)


def _larger(kept: torch.Tensor, rows: int, tokens: int) -> torch.Tensor:
    # Zeros: what a mask hides still takes part in the products, where NaN would survive it.
    larger = kept.new_zeros(rows, kept.shape[1], tokens, kept.shape[3])
    larger[: kept.shape[0], :, : kept.shape[2]] = kept
    return larger


class Group:
    """Texts that begin with the same tokens, ``base``, whose keys and values are there once for all of them.

    ``lengths`` says for each row how many tokens it holds after the base. Rows have no gaps: where one leaves, the last
    takes its place.
    """

    def __init__(self, base: Tokens) -> None:
        self.base = base
        self.lengths: list[int] = []
        self._layers: dict[int, _Layer] = {}
        # Of the pass under way: made once, not in every layer, which a GPU would wait for.
        self._masks: dict[tuple[int | None, torch.device], torch.Tensor] = {}
        self._newest: dict[torch.device, tuple[torch.Tensor, torch.Tensor]] = {}

    @torch.inference_mode()
    def remove(self, row: int) -> None:
        """Give up a row; the last one gets its number."""
        length = self.lengths.pop()
        if row == len(self.lengths):
            return
        for layer in self._layers.values():
            layer.keys[row, :, :length] = layer.keys[len(self.lengths), :, :length]
            layer.values[row, :, :length] = layer.values[len(self.lengths), :, :length]
        self.lengths[row] = length

    @torch.inference_mode()
    def shrink(self) -> None:
        """Give back the memory of rows that are not there any more."""
        for layer in self._layers.values():
            layer.keys = layer.keys[: len(self.lengths)].clone()
            layer.values = layer.values[: len(self.lengths)].clone()

    def take(self, call: Call, row: int, keys: torch.Tensor, values: torch.Tensor) -> None:
        """Copy a text's keys and values, heads x tokens x width from the base's first token on, into a row."""
        start = len(self.base)
        if call.layer not in self._layers:
            empty = [kept.new_empty(0, kept.shape[0], 0, kept.shape[2]) for kept in (keys, values)]
            self._layers[call.layer] = _Layer(keys[:, :start].clone(), values[:, :start].clone(), *empty)
        layer = self._layers[call.layer]
        layer.grow(max(row + 1, len(self.lengths)), keys.shape[1] - start)
        layer.keys[row, :, : keys.shape[1] - start] = keys[:, start:]
        layer.values[row, :, : keys.shape[1] - start] = values[:, start:]

    def lengthen(self, tokens: int) -> None:
        """Count ``tokens`` more for each row: one before a pass, minus one after a pass that failed."""
        self.lengths = [length + tokens for length in self.lengths]
        self._masks.clear()
        self._newest.clear()

    def attend(self, call: Call, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        """Attention of each row's newest token: ``query`` is rows x heads x width, the result alike."""
        layer, count, longest = self._layers[call.layer], len(self.lengths), max(self.lengths)
        layer.grow(count, longest)
        rows, places = self._newest_on(key.device)
        layer.keys[rows, :, places] = key
        layer.values[rows, :, places] = value
        heads = key.shape[1]
        grouped = query.reshape(count, heads, -1, query.shape[2])
        scores = _scores(grouped, layer, longest)
        scores *= query.shape[2] ** -0.5 if call.scale is None else call.scale
        if call.softcap is not None:
            scores = torch.tanh(scores / call.softcap) * call.softcap
        scores += self._mask(call.window, scores.device)
        return _weighted(_softmax(scores, call.sinks).to(value.dtype), layer, longest).reshape(
            count, -1, value.shape[2]
        )

    def _newest_on(self, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the number of each row and the place of its newest token."""
        if device not in self._newest:
            lengths = torch.tensor(self.lengths, device=device)
            self._newest[device] = torch.arange(len(self.lengths), device=device), lengths - 1
        return self._newest[device]

    def _mask(self, window: int | None, device: torch.device) -> torch.Tensor:
        """Return rows x 1 x 1 x (base + longest): 0 where the newest token sees a key, else -inf."""
        key = window, device
        if key not in self._masks:
            newest = len(self.base) + self._newest_on(device)[1][:, None]
            positions = torch.arange(len(self.base) + max(self.lengths), device=device)
            hidden = positions > newest
            if window is not None:
                hidden |= positions <= newest - window
            mask = torch.zeros(hidden.shape, device=device).masked_fill_(hidden, -torch.inf)
            self._masks[key] = mask[:, None, None]
        return self._masks[key]


def _scores(query: torch.Tensor, layer: _Layer, longest: int) -> torch.Tensor:
    """Products with the base's keys, one matrix product for all rows, and with each row's own, in float32."""
    count, heads, shared, width = query.shape
    own = _own(layer.keys, count, longest)
    scores = torch.bmm(query.reshape(count * heads, shared, width), own.transpose(1, 2)).view(
        count, heads, shared, longest
    )
    if not layer.base_keys.shape[1]:
        return scores.float()
    together = query.transpose(0, 1).reshape(heads, count * shared, width)
    base = torch.bmm(together, layer.base_keys.transpose(1, 2)).view(heads, count, shared, -1).transpose(0, 1)
    return torch.cat([base, scores], dim=-1).float()


def _weighted(weights: torch.Tensor, layer: _Layer, longest: int) -> torch.Tensor:
    """Sums of values by ``weights``, rows x heads x queries of the head x (base + longest)."""
    count, heads, shared, _ = weights.shape
    start = layer.base_keys.shape[1]
    own = weights[..., start:].reshape(count * heads, shared, longest)
    result = torch.bmm(own, _own(layer.values, count, longest)).view(count, heads, shared, -1)
    if not start:
        return result
    base = weights[..., :start].transpose(0, 1).reshape(heads, count * shared, start)
    return result + torch.bmm(base, layer.base_values).view(heads, count, shared, -1).transpose(0, 1)


def _own(kept: torch.Tensor, count: int, longest: int) -> torch.Tensor:
    """Return the rows in use as (rows x heads) x tokens x width, a view."""
    return kept.flatten(0, 1)[: count * kept.shape[1], :longest]


def _softmax(scores: torch.Tensor, sinks: torch.Tensor | None) -> torch.Tensor:
    if sinks is None:
        return torch.softmax(scores, dim=-1)
    joined = sinks.float().view(1, scores.shape[1], -1, 1).expand(len(scores), -1, -1, -1)
    return torch.softmax(torch.cat([scores, joined], dim=-1), dim=-1)[..., :-1]


class NextTokens:
    """Attention of a pass that reads one token of each row, group after group."""

    def __init__(self, groups: Sequence[Group]) -> None:
        self._groups = groups

    def attend(self, call: Call) -> torch.Tensor:
        """Return tokens x heads x width."""
        query, key, value = (part.transpose(0, 1) for part in (call.query, call.key, call.value))
        found, first = [], 0
        for group in self._groups:
            last = first + len(group.lengths)
            found.append(group.attend(call, query[first:last], key[first:last], value[first:last]))
            first = last
        return torch.cat(found)
