"""Schedules of random tries, carried out on a list of tokens in place of keys and values."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence

import pytest

pytest.importorskip("torch")

from pytest_lmeval.backends.hf.scoring.schedule import Resident, Schedule, Segment
from pytest_lmeval.backends.hf.scoring.trie import Text, Want, build
from pytest_lmeval.backends.text.encoding import Tokens

from .test_hf_trie import beginnings, random_texts


class Memory:
    """Which token's keys and values lie at each position, None where a pass that failed has left anything."""

    def __init__(self) -> None:
        self.tokens: list[int | None] = []
        self.runs: Counter[Tokens] = Counter()
        self.found: list[Want] = []

    def run(self, pack: Sequence[Segment]) -> None:
        """Run a pack, and see that each segment finds its text before it."""
        for segment in pack:
            assert segment.length > 0
            assert tuple(self.tokens[: segment.start]) == segment.text[: segment.start]
            assert all(segment.start <= want.position < segment.end for want in segment.wants)
            self._write(segment, segment.text)
            self.runs.update(segment.text[: end + 1] for end in range(segment.start, segment.end))
            self.found.extend(segment.wants)

    def fail(self, pack: Sequence[Segment]) -> None:
        """Fail in the middle of a pack: in some layers it has overwritten what it would have."""
        for segment in pack:
            self._write(segment, [None] * segment.end)

    def holds(self, text: Tokens) -> bool:
        return tuple(self.tokens[: len(text)]) == text

    def _write(self, segment: Segment, values: Sequence[int | None]) -> None:
        self.tokens += [None] * (segment.end - len(self.tokens))
        self.tokens[segment.start : segment.end] = values[segment.start : segment.end]


def wants(texts: Sequence[Text]) -> list[Want]:
    return [want for number, text in enumerate(texts) for want in text.wants(number)]


def within(pack: Sequence[Segment], tokens: int, outputs: int) -> bool:
    lengths, places = sum(segment.length for segment in pack), sum(segment.outputs for segment in pack)
    return lengths <= tokens and places <= outputs


def packs(schedule: Schedule, tokens: int, outputs: int) -> Iterator[list[Segment]]:
    while pack := schedule.take(tokens, outputs):
        yield pack


@pytest.mark.parametrize("tokens", [1, 2, 5, 100])
@pytest.mark.parametrize("outputs", [1, 3, 100])
@pytest.mark.parametrize("seed", range(20))
def test_each_token_runs_once_after_those_before_it(seed: int, tokens: int, outputs: int) -> None:
    texts, memory = random_texts(seed), Memory()
    for pack in packs(Schedule(build(texts), Resident()), tokens, outputs):
        assert within(pack, tokens, outputs)
        memory.run(pack)
    assert set(memory.runs) == beginnings(texts)
    assert set(memory.runs.values()) == {1}
    assert sorted(memory.found, key=repr) == sorted(wants(texts), key=repr)


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("cut_every", [1, 4])
def test_whole_nodes_are_never_cut(seed: int, cut_every: int) -> None:
    texts, memory = random_texts(seed, cut_every=cut_every), Memory()
    for pack in packs(Schedule(build(texts), Resident(), whole=True), 6, 3):
        assert within(pack, 6, 3) or len(pack) == 1
        for segment in pack:
            assert segment.start % cut_every == 0
            assert segment.end % cut_every == 0 or segment.end == len(segment.text)
        memory.run(pack)
    assert sorted(memory.found, key=repr) == sorted(wants(texts), key=repr)


@pytest.mark.parametrize("seed", range(30))
def test_what_a_schedule_leaves_is_used_by_the_next(seed: int) -> None:
    memory, resident = Memory(), Resident()
    for round_ in range(5):
        texts = random_texts(seed + 30 * round_)
        memory.found.clear()
        memory.runs.clear()
        schedule = Schedule(build(texts), resident, texts[-1].tokens)
        for pack in packs(schedule, 7, 4):
            memory.run(pack)
            assert memory.holds(schedule.resident.tokens)
        assert sorted(memory.found, key=repr) == sorted(wants(texts), key=repr)
        assert set(memory.runs) <= beginnings(texts)
        # Nothing else lay in memory, and what did runs again no more than once.
        known = {resident.tokens[:length] for length in range(1, len(resident.tokens) + 1)}
        assert beginnings(texts) - known <= set(memory.runs)
        assert {memory.runs[text] for text in set(memory.runs) - known} <= {1}
        resident = schedule.resident
        assert resident.tokens[: len(texts[-1].tokens)] == texts[-1].tokens


def test_of_what_lies_in_memory_only_that_runs_again_of_which_something_is_wanted() -> None:
    resident = Resident((1, 2, 3, 4, 5, 6))
    texts = [Text((1, 2, 3, 4, 5), (7,)), Text((1, 2, 3, 8), (9,)), Text((0, 1), (2,))]
    memory = Memory()
    memory.tokens = list(resident.tokens)
    schedule = Schedule(build(texts), resident)
    for pack in packs(schedule, 3, 9):
        memory.run(pack)
    assert sorted(memory.runs) == [(0,), (0, 1), (1, 2, 3, 4, 5), (1, 2, 3, 8)]


@pytest.mark.parametrize("seed", range(100))
@pytest.mark.parametrize("whole", [False, True])
def test_nothing_is_lost_when_packs_fail(seed: int, whole: bool) -> None:
    chance, memory, resident = random.Random(seed), Memory(), Resident()
    for round_ in range(3):
        texts = random_texts(seed + 100 * round_, cut_every=3 if whole else None)
        memory.found.clear()
        schedule = Schedule(build(texts), resident, texts[-1].tokens, whole=whole)
        while pack := schedule.take(chance.choice([1, 4, 30]), chance.choice([1, 5, 30])):
            if chance.random() < 0.4:
                memory.fail(pack)
                schedule.put_back(pack, alone=chance.random() < 0.5)
            else:
                memory.run(pack)
            assert memory.holds(schedule.resident.tokens)
        assert sorted(memory.found, key=repr) == sorted(wants(texts), key=repr)
        resident = schedule.resident


@pytest.mark.parametrize("seed", range(100))
def test_only_texts_that_need_what_does_not_fit_are_given_up(seed: int) -> None:
    chance, memory, resident = random.Random(seed), Memory(), Resident()
    for round_ in range(2):
        texts = random_texts(seed + 100 * round_)
        bad = chance.choice(
            sorted(beginnings(texts) - {resident.tokens[:length] for length in range(len(resident.tokens) + 1)})
        )
        memory.found.clear()
        lost: list[int] = []
        schedule = Schedule(build(texts), resident, texts[-1].tokens)
        tokens = 20
        while pack := schedule.take(tokens, 30):
            if any(segment.text[: segment.end][: len(bad)] == bad and segment.start < len(bad) for segment in pack):
                memory.fail(pack)
                schedule.put_back(pack, alone=tokens == 1)
                if tokens == 1:
                    assert len(pack) == 1
                    lost.extend(schedule.drop())
                tokens = max(1, tokens // 2)
            else:
                memory.run(pack)
            assert memory.holds(schedule.resident.tokens)
        unanswered = {want.text for want in wants(texts)} - {want.text for want in memory.found}
        assert len(lost) == len(set(lost))
        needing = {n for n, text in enumerate(texts) if text.tokens[: len(bad)] == bad}
        assert set(lost) == needing
        assert unanswered <= needing
        kept = [want for want in wants(texts) if want.text not in needing]
        assert sorted((w for w in memory.found if w.text not in needing), key=repr) == sorted(kept, key=repr)
        resident = schedule.resident


def test_the_first_of_a_pack_put_back_comes_alone_though_its_path_runs_again() -> None:
    long, short = tuple(range(20)), (0, 1, 50, 51)
    schedule, memory = Schedule(build([Text(long, (9,)), Text(short, (9,))]), Resident(), short), Memory()
    memory.run(schedule.take(19, 9))
    pack = schedule.take(9, 9)
    assert [(segment.start, segment.end) for segment in pack] == [(19, 20), (2, 4)]
    memory.fail(pack)
    schedule.put_back(pack, alone=True)
    alone = list(packs(schedule, 9, 9))
    for pack in alone:
        memory.run(pack)
    assert [(segment.start, segment.end) for pack in alone for segment in pack][-2:] == [(19, 20), (2, 4)]
    assert [len(pack) for pack in alone] == [1] * len(alone)
