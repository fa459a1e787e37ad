"""Log-probabilities of texts that begin alike: each distinct token runs once, in packs without padding."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import torch

from pytest_lmeval.backends.hf.attention import attending
from pytest_lmeval.backends.hf.batching import Limits, attempt
from pytest_lmeval.backends.hf.encoding import Span, Tokens
from pytest_lmeval.backends.hf.model import Loaded
from pytest_lmeval.backends.hf.outputs import Outputs
from pytest_lmeval.backends.hf.path import PathAttention, PathMemory, Stretch
from pytest_lmeval.backends.hf.projection import Asked
from pytest_lmeval.backends.hf.quiet import quiet
from pytest_lmeval.backends.hf.schedule import Schedule, Segment
from pytest_lmeval.backends.hf.scoring import Score, checked, too_large
from pytest_lmeval.backends.hf.trie import Text, Want, build

OwnerT = TypeVar("OwnerT")

# Tokens below which a pack that does not fit the memory is not halved any more.
SMALLEST_PACK = 16


@dataclass(slots=True)
class _Sum:
    """A text's score under way."""

    missing: int
    logprobs: list[float] = field(default_factory=list)
    greedy: bool = True

    def add(self, logprob: float, greedy: bool) -> bool:
        """Take one token's result; say whether it was the last."""
        self.logprobs.append(logprob)
        self.greedy &= greedy
        self.missing -= 1
        return not self.missing

    @property
    def score(self) -> Score:
        return Score(math.fsum(self.logprobs), self.greedy)


class SharedScorer:
    """Scores spans on one model; the last text's keys and values stay for those that follow it."""

    def __init__(self, loaded: Loaded, limits: Limits, outputs: Outputs) -> None:
        self._model = loaded.model
        self._device = loaded.device
        self._limits = limits
        self._outputs = outputs
        self._memory = PathMemory()
        self._resident: Tokens = ()

    def score(self, spans: Iterable[tuple[OwnerT, Span]]) -> Iterator[tuple[OwnerT, Score | str]]:
        """Yield each owner with the score of its span or with why there is none, pack by pack."""
        owned = list(spans)
        if not owned:
            return
        texts = [Text(span.inputs, span.targets) for _, span in owned]
        sums = [_Sum(len(text.targets)) for text in texts]
        schedule = Schedule(build(texts), self._resident, texts[-1].tokens)
        # Until the end this memory is nobody else's: another stream may score between two packs of this one.
        memory, self._memory, self._resident = self._memory, PathMemory(), ()
        while pack := schedule.take(self._limits.tokens, self._limits.outputs):
            found = attempt(partial(self._run, memory), pack)
            for number in self._lost(schedule, pack) if found is None else ():
                yield owned[number][0], too_large(len(texts[number].tokens))
            for want, logprob, greedy in found or ():
                if sums[want.text].add(logprob, greedy):
                    yield owned[want.text][0], checked(sums[want.text].score)
        self._memory, self._resident = memory, schedule.resident

    def _lost(self, schedule: Schedule, pack: list[Segment]) -> set[int]:
        """Make packs smaller after one that was too large; return the texts given up, where none can be smaller."""
        tokens = sum(segment.length for segment in pack)
        schedule.put_back(pack, alone=tokens <= SMALLEST_PACK)
        if tokens > SMALLEST_PACK:
            self._limits.tokens = max(SMALLEST_PACK, tokens // 2)
        return schedule.drop() if tokens <= SMALLEST_PACK and len(pack) == 1 else set()

    def _run(self, memory: PathMemory, pack: Sequence[Segment]) -> list[tuple[Want, float, bool]]:
        """Run a pack; return what was wanted of it, with log-probability and whether it is the greedy token."""
        layout = Layout.of(pack)
        attention = PathAttention(memory, layout.stretches)
        with torch.inference_mode(), quiet(), attending(self._model, attention):
            states = self._outputs.states(*(tensor.to(self._device) for tensor in layout.inputs))
        if not layout.wants:
            return []
        with torch.inference_mode():
            found = self._outputs.projection.score(states, layout.asked(states.device))
        return list(zip(layout.wants, found.logprobs.tolist(), found.greedy.tolist(), strict=True))


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

    @property
    def inputs(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Tokens and positions, each 1 x tokens, and the rows with outputs."""
        return torch.tensor([self.ids]), torch.tensor([self.positions]), torch.tensor(self.places, dtype=torch.long)

    def asked(self, device: torch.device) -> Asked:
        """The wants as the projection takes them."""
        tokens = torch.tensor([want.token for want in self.wants], device=device)
        return Asked(torch.tensor(self.rows, device=device), tokens)
