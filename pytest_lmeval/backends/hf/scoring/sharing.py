"""Log-probabilities of texts that begin alike: each distinct token runs once, in packs without padding."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from pytest_lmeval.backends.hf.attention.path import PathMemory
from pytest_lmeval.backends.hf.batching import Limits, attempt
from pytest_lmeval.backends.hf.memory import Meter
from pytest_lmeval.backends.hf.scoring.packs import Packs
from pytest_lmeval.backends.hf.scoring.pages import PAGE, page_cuts
from pytest_lmeval.backends.hf.scoring.schedule import Resident, Schedule, Segment
from pytest_lmeval.backends.hf.scoring.too_large import fixed_too_large, too_large
from pytest_lmeval.backends.hf.scoring.trie import Text, Want, build
from pytest_lmeval.backends.text.encoding import Span
from pytest_lmeval.backends.text.scores import Score, checked
from pytest_lmeval.errors import BackendError

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

    def __init__(
        self, packs: Packs, limits: Limits, *, deterministic: bool = False, meter: Meter | None = None
    ) -> None:
        """``deterministic`` runs each text in pieces of its own shape; ``meter`` corrects the size of packs."""
        self._packs = packs
        self._limits = limits
        self._deterministic = deterministic
        self._meter = meter
        self._memory = PathMemory()
        self._resident = Resident()

    def score(self, spans: Iterable[tuple[OwnerT, Span]]) -> Iterator[tuple[OwnerT, Score | str]]:
        """Yield each owner with the score of its span or with why there is none, pack by pack."""
        owned = list(spans)
        if not owned:
            return
        texts = [self._text(span) for _, span in owned]
        sums = [_Sum(len(text.targets)) for text in texts]
        schedule = Schedule(build(texts), self._resident, texts[-1].tokens, whole=self._deterministic)
        # Until the end this memory is nobody else's: another stream may score between two packs of this one.
        memory, self._memory, self._resident = self._memory, PathMemory(), Resident()
        spoiled: list[int] = []
        while pack := schedule.take(self._limits.tokens, self._limits.outputs):
            found = attempt(partial(self._run, memory), pack)
            for number in self._lost(schedule, pack) if found is None else ():
                yield owned[number][0], too_large(len(texts[number].tokens))
            for number in self._finished(sums, found or ()):
                if math.isnan(sums[number].score.logprob) and len(owned) > 1 and not self._packs.isolates:
                    spoiled.append(number)
                else:
                    yield owned[number][0], checked(sums[number].score)
        # The NaN of one text may have reached others, also in memory, so each of them is asked on its own.
        for number in spoiled:
            self._memory, self._resident = PathMemory(), Resident()
            yield from self.score([owned[number]])
        self._memory, self._resident = (PathMemory(), Resident()) if spoiled else (memory, schedule.resident)

    @staticmethod
    def _finished(sums: list[_Sum], found: Iterable[tuple[Want, float, bool]]) -> Iterator[int]:
        """Give each text its results; yield those that have all."""
        for want, logprob, greedy in found:
            if sums[want.text].add(logprob, greedy):
                yield want.text

    def _run(self, memory: PathMemory, pack: list[Segment]) -> list[tuple[Want, float, bool]]:
        if self._meter is None or not self._meter.active:
            return self._packs.run(memory, pack)
        with self._meter.measured(sum(segment.length for segment in pack), self._limits.tokens):
            found = self._packs.run(memory, pack)
        self._limits.tokens = self._meter.tokens or self._limits.tokens
        return found

    def _text(self, span: Span) -> Text:
        cuts = page_cuts(len(span.inputs), len(span.targets)) if self._deterministic else None
        return Text(span.inputs, span.targets, cuts)

    def _lost(self, schedule: Schedule, pack: list[Segment]) -> set[int]:
        """Make packs smaller after one that was too large; return the texts given up, where none can be smaller."""
        if self._deterministic:
            raise BackendError(fixed_too_large(self._limits.tokens, PAGE))
        tokens = sum(segment.length for segment in pack)
        schedule.put_back(pack, alone=tokens <= SMALLEST_PACK)
        if tokens > SMALLEST_PACK:
            self._limits.tokens = max(SMALLEST_PACK, tokens // 2)
            self._meter = None
        return schedule.drop() if tokens <= SMALLEST_PACK and len(pack) == 1 else set()
