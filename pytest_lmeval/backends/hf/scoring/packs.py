"""Run packs: segments of many texts as one long row of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from pytest_lmeval.backends.checkpoints.quiet import quiet
from pytest_lmeval.backends.hf.attention.batched import isolates, path_attention
from pytest_lmeval.backends.hf.attention.interface import attending
from pytest_lmeval.backends.hf.attention.path import PathMemory, Stretch
from pytest_lmeval.backends.hf.model import Loaded
from pytest_lmeval.backends.hf.scoring.outputs import Outputs
from pytest_lmeval.backends.hf.scoring.projection import Asked, Found
from pytest_lmeval.backends.hf.scoring.schedule import Segment
from pytest_lmeval.backends.hf.scoring.trie import Want


class Packs:
    """Runs packs on one model."""

    def __init__(self, loaded: Loaded, outputs: Outputs, rows: int | None = None) -> None:
        """``rows`` pads each pack to that many tokens, so that it has the same shape as all others.

        ``isolates`` then says whether a NaN stays with the text that has it.
        """
        self.rows = rows
        self.isolates = isolates(loaded.device, together=rows is None)
        self._model = loaded.model
        self._device = loaded.device
        self._outputs = outputs

    def run(self, memory: PathMemory, pack: Sequence[Segment]) -> list[tuple[Want, float, bool]]:
        """Run a pack; return what was wanted of it, with log-probability and whether it is the greedy token."""
        layout = Layout.of(pack)
        states = self._states(memory, layout)
        if not layout.wants:
            return []
        found = self._score(states, layout)
        return list(zip(layout.wants, found.logprobs.tolist(), found.greedy.tolist(), strict=True))

    def bits(self, pack: Sequence[Segment]) -> torch.Tensor:
        """Run a pack; return for each want what the output layer gets and, in the last column, makes of it."""
        layout = Layout.of(pack)
        states = self._states(PathMemory(), layout)
        found = self._score(states, layout)
        rows = torch.tensor(layout.rows, device=states.device)
        # NaN would not equal itself.
        return torch.cat([states[rows].float(), found.logprobs[:, None]], dim=1).nan_to_num()

    def _states(self, memory: PathMemory, layout: Layout) -> torch.Tensor:
        ids, positions, places = layout.inputs(self.rows)
        if self.rows is not None and not self._outputs.lean:
            # The model's own output layer must see a fixed number of rows as well.
            places = torch.nn.functional.pad(places, (0, self.rows - len(places)))
        attention = path_attention(self._device, memory, layout.stretches, together=self.rows is None)
        with torch.inference_mode(), quiet(), attending(self._model, attention):
            return self._outputs.states(ids.to(self._device), positions.to(self._device), places.to(self._device))

    def _score(self, states: torch.Tensor, layout: Layout) -> Found:
        with torch.inference_mode():
            return self._outputs.projection.score(states, layout.asked)


@dataclass(frozen=True, slots=True)
class Layout:
    """A pack as one row of tokens. ``places`` are those with outputs, ``rows`` says for each want which of these."""

    ids: list[int]
    positions: list[int]
    stretches: list[Stretch]
    wants: list[Want]
    places: list[int]
    rows: list[int]

    @classmethod
    def of(cls, pack: Sequence[Segment]) -> Layout:
        """Lay out segments one after the other."""
        layout = cls([], [], [], [], [], [])
        for segment in pack:
            layout._add(segment)
        return layout

    def _add(self, segment: Segment) -> None:
        row = len(self.ids)
        self.stretches.append(Stretch(row, segment.start, segment.length))
        self.ids.extend(segment.text[segment.start : segment.end])
        self.positions.extend(range(segment.start, segment.end))
        for want in segment.wants:
            place = row + want.position - segment.start
            if not self.places or self.places[-1] != place:
                self.places.append(place)
            self.wants.append(want)
            self.rows.append(len(self.places) - 1)

    def inputs(self, rows: int | None = None) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Tokens and positions, each 1 x tokens and padded with zeros up to ``rows``, and the rows with outputs."""
        padding = [0] * ((rows or 0) - len(self.ids))
        ids, positions = torch.tensor([self.ids + padding]), torch.tensor([self.positions + padding])
        return ids, positions, torch.tensor(self.places, dtype=torch.long)

    @property
    def asked(self) -> Asked:
        """The wants as the projection takes them."""
        return Asked(torch.tensor(self.rows), torch.tensor([want.token for want in self.wants]))
