"""Write texts token by token: a row that is done leaves the batch, and a new one takes its place."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch

from pytest_lmeval.backends.checkpoints.quiet import quiet
from pytest_lmeval.backends.hf.attention.batched import path_attention
from pytest_lmeval.backends.hf.attention.interface import Attention, Call, attending
from pytest_lmeval.backends.hf.attention.path import PathMemory, Take
from pytest_lmeval.backends.hf.attention.slots import Group, NextTokens
from pytest_lmeval.backends.hf.batching import Limits, attempt
from pytest_lmeval.backends.hf.generation.bases import choose_bases
from pytest_lmeval.backends.hf.generation.sampling import Draw, choose
from pytest_lmeval.backends.hf.model import Loaded
from pytest_lmeval.backends.hf.scoring.outputs import Outputs
from pytest_lmeval.backends.hf.scoring.packs import Layout
from pytest_lmeval.backends.hf.scoring.pages import PAGE
from pytest_lmeval.backends.hf.scoring.schedule import Resident, Schedule, Segment
from pytest_lmeval.backends.hf.scoring.sharing import SMALLEST_PACK
from pytest_lmeval.backends.hf.scoring.too_large import fixed_too_large
from pytest_lmeval.backends.hf.scoring.trie import Text, build
from pytest_lmeval.backends.text.encoding import Tokens
from pytest_lmeval.backends.text.stopping import Stops
from pytest_lmeval.errors import BackendError

# New rows are read when this part of the room is free: several at once make better use of a pass than one.
REFILL = 4


@dataclass(slots=True, eq=False)
class Draft:
    """A text to write: up to ``most`` tokens after ``prompt``. ``base`` is its shared beginning, no ``draw`` greedy."""

    number: int
    prompt: Tokens
    most: int
    stops: Stops
    draw: Draw | None = None
    base: Tokens = ()
    written: list[int] = field(default_factory=list)

    @property
    def tokens(self) -> Tokens:
        """All tokens so far."""
        return (*self.prompt, *self.written)

    @property
    def room(self) -> int:
        """Tokens that its row may come to hold."""
        return len(self.prompt) - len(self.base) + self.most

    def push(self, token: int) -> bool:
        """Take the next token; say whether it was the last."""
        self.written.append(token)
        return self.stops.push(token) or len(self.written) >= self.most


@dataclass(slots=True)
class _Rows:
    """The drafts of one group, in the order of its rows; ``done`` are those to take out."""

    group: Group
    drafts: list[Draft] = field(default_factory=list)

    def take_out(self, leaving: set[int]) -> list[Draft]:
        """Remove the drafts of these numbers and return them."""
        gone = []
        for row in reversed(range(len(self.drafts))):
            if self.drafts[row].number in leaving:
                self.group.remove(row)
                gone.append(self.drafts[row])
                self.drafts[row] = self.drafts[-1]
                self.drafts.pop()
        return gone


class Writer:
    """Texts under way on one model. ``limits`` bounds the tokens held by rows, ``reading`` those read at once."""

    def __init__(
        self, loaded: Loaded, limits: Limits, reading: Limits, outputs: Outputs, *, share: bool = True
    ) -> None:
        """``share`` False gives each text a row to itself that nothing else runs with or is read from."""
        self._model = loaded.model
        self._device = loaded.device
        self._limits = limits
        self._reading = reading
        self._outputs = outputs
        self._share = share
        self._memory = PathMemory()
        self._resident = Resident()
        self._waiting: deque[Draft] = deque()
        self._groups: dict[Tokens, _Rows] = {}

    def add(self, drafts: Sequence[Draft]) -> None:
        """Queue texts; those that begin alike will be read one after the other."""
        if self._share:
            bases = choose_bases([draft.prompt for draft in drafts], self._groups)
            for draft, base in zip(drafts, bases, strict=True):
                draft.base = base
            drafts = sorted(drafts, key=lambda draft: draft.prompt)
        self._waiting.extend(drafts)

    @property
    def hungry(self) -> bool:
        """Whether more texts could be under way than there are."""
        return not self._waiting and self._has_room

    @property
    def busy(self) -> bool:
        """Whether anything is left to do."""
        return bool(self._waiting or self._drafts)

    def advance(self) -> Iterator[tuple[Draft, bool]]:
        """Write a token of each text; yield those that are finished, with False those that do not fit the memory."""
        if admitted := self._admit() if self._has_room else []:
            yield from self._read(admitted)
        if self._drafts:
            yield from self._write()

    @property
    def _drafts(self) -> list[Draft]:
        return [draft for rows in self._groups.values() for draft in rows.drafts]

    @property
    def _room(self) -> int:
        return self._limits.tokens - sum(draft.room for draft in self._drafts)

    @property
    def _has_room(self) -> bool:
        drafts = self._drafts
        if not drafts:
            return True
        free_rows = self._rows_allowed - len(drafts)
        return free_rows > 0 and self._room * REFILL >= self._limits.tokens

    @property
    def _rows_allowed(self) -> int:
        return 1 if not self._share else self._limits.rows or self._limits.tokens

    def _admit(self) -> list[Draft]:
        """Take as many waiting texts as there is room for, at least one where none is under way."""
        room, rows = self._room, self._rows_allowed - len(self._drafts)
        admitted: list[Draft] = []
        while self._waiting and len(admitted) < rows:
            draft = self._waiting[0]
            if draft.room > room and (admitted or self._drafts):
                break
            room -= draft.room
            admitted.append(self._waiting.popleft())
        return admitted

    def _read(self, drafts: list[Draft]) -> Iterator[tuple[Draft, bool]]:
        """Read texts, each distinct token once, and write the first token of each."""
        for draft in drafts:
            if draft.base not in self._groups:
                self._groups[draft.base] = _Rows(Group(draft.base))
            rows = self._groups[draft.base]
            rows.drafts.append(draft)
            rows.group.lengths.append(len(draft.tokens) - len(draft.base))
        texts = [Text(draft.tokens, (0,)) for draft in drafts]
        schedule = Schedule(build(texts), self._resident if self._share else Resident(), texts[-1].tokens)
        self._resident = Resident()
        while pack := schedule.take(self._reading.tokens, len(drafts)):
            tokens = attempt(lambda pack: self._pass_reading(pack, drafts), pack)
            if tokens is None:
                yield from self._smaller(schedule, pack, drafts)
            else:
                yield from self._push([drafts[number] for number in tokens], list(tokens.values()))
        self._resident = schedule.resident

    def _pass_reading(self, pack: list[Segment], drafts: list[Draft]) -> dict[int, int]:
        """Read a pack; return the first token of each draft, by number, that ends in it."""
        layout = Layout.of(pack)
        leave = {number: self._taking(segment, drafts) for number, segment in enumerate(pack) if segment.wants}
        attention = path_attention(self._device, self._memory, layout.stretches, leave)
        logits = self._logits(attention, *layout.inputs())
        if not layout.wants:
            return {}
        numbers = [want.text for want in layout.wants]
        tokens = choose(logits[layout.rows], [drafts[number].draw for number in numbers])
        return dict(zip(numbers, tokens, strict=True))

    def _taking(self, segment: Segment, drafts: list[Draft]) -> Take:
        """Return what copies keys and values to the rows of the drafts whose prompts end in ``segment``."""
        targets = [(*self._place(drafts[want.text]), want.position + 1) for want in segment.wants]

        def take(call: Call, keys: torch.Tensor, values: torch.Tensor) -> None:
            for group, row, length in targets:
                group.take(call, row, keys[:, :length], values[:, :length])

        return take

    def _place(self, draft: Draft) -> tuple[Group, int]:
        rows = self._groups[draft.base]
        return rows.group, rows.drafts.index(draft)

    def _smaller(self, schedule: Schedule, pack: list[Segment], drafts: list[Draft]) -> Iterator[tuple[Draft, bool]]:
        """Read less at once after a pack that was too large; give up the texts of one that cannot be smaller.

        Raises BackendError where numbers must not depend on how much is read at once.
        """
        if not self._share:
            raise BackendError(fixed_too_large(self._reading.tokens, PAGE))
        tokens = sum(segment.length for segment in pack)
        schedule.put_back(pack, alone=tokens <= SMALLEST_PACK)
        if tokens > SMALLEST_PACK:
            self._reading.tokens = max(SMALLEST_PACK, tokens // 2)
        elif len(pack) == 1:
            yield from ((draft, False) for draft in self._take_out([drafts[number] for number in schedule.drop()]))

    def _write(self) -> Iterator[tuple[Draft, bool]]:
        """Read each text's newest token and write the next."""
        drafts, groups = self._drafts, [rows.group for rows in self._groups.values() if rows.drafts]
        for group in groups:
            group.lengthen(1)
        tokens = attempt(partial(self._pass_writing, groups), drafts)
        if tokens is not None:
            yield from self._push(drafts, tokens)
            return
        for group in groups:
            group.lengthen(-1)
        yield from self._make_room(drafts)

    def _pass_writing(self, groups: Sequence[Group], drafts: Sequence[Draft]) -> list[int]:
        positions = [len(group.base) + length - 1 for group in groups for length in group.lengths]
        ids = [draft.written[-1] for draft in drafts]
        places = torch.arange(len(ids))
        logits = self._logits(NextTokens(groups), torch.tensor([ids]), torch.tensor([positions]), places)
        return choose(logits, [draft.draw for draft in drafts])

    def _logits(self, attention: Attention, *inputs: torch.Tensor) -> torch.Tensor:
        """Run the model on tokens, positions (1 x tokens) and wanted rows; return the logits of these, in float32."""
        with torch.inference_mode(), quiet(), attending(self._model, attention):
            states = self._outputs.states(*(tensor.to(self._device) for tensor in inputs))
            return self._outputs.projection.logits(states)

    def _push(self, drafts: Sequence[Draft], tokens: Sequence[int]) -> Iterator[tuple[Draft, bool]]:
        done = [draft for draft, token in zip(drafts, tokens, strict=True) if draft.push(token)]
        yield from ((draft, True) for draft in self._take_out(done))

    def _take_out(self, drafts: Iterable[Draft]) -> list[Draft]:
        """Remove texts from their rows, and groups that nobody needs any more."""
        leaving = {draft.number for draft in drafts}
        gone = [draft for rows in self._groups.values() for draft in rows.take_out(leaving)] if leaving else []
        needed = {draft.base for draft in self._waiting}
        self._groups = {base: rows for base, rows in self._groups.items() if rows.drafts or base in needed}
        return gone

    def _make_room(self, drafts: list[Draft]) -> Iterator[tuple[Draft, bool]]:
        """Go on with half of the texts after a pass that was too large; the others wait and keep what they have."""
        keep = len(drafts) // 2
        self._limits.tokens = max(1, sum(draft.room for draft in drafts[:keep]))
        gone = self._take_out(drafts[keep:])
        for rows in self._groups.values():
            rows.group.shrink()
        if keep:
            self._waiting.extendleft(reversed(gone))
        else:
            yield from ((draft, False) for draft in gone)
