"""Attention in batches, against attention stretch by stretch on the packs of random tries."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from pytest_lmeval.backends.hf.attention import batched, blocks
from pytest_lmeval.backends.hf.attention.batched import BatchedAttention, path_attention
from pytest_lmeval.backends.hf.attention.interface import Attention, Call
from pytest_lmeval.backends.hf.attention.path import PathAttention, PathMemory, Stretch
from pytest_lmeval.backends.hf.attention.slots import Group, NextTokens
from pytest_lmeval.backends.hf.scoring.schedule import Resident, Schedule, Segment
from pytest_lmeval.backends.hf.scoring.trie import Text, build

from .attention_kinds import KINDS, Kind

# What is set how, so that small packs come to be cut in every way.
CUTS: dict[str, dict[str, int]] = {
    "as it is": {},
    "blocks of one stretch": {"KEY_COST": 0},
    "large blocks": {"KEY_COST": 1000},
    "no mask for long stretches": {"KEY_COST": 2, "LONG": 2},
    "little memory": {"KEY_COST": 8, "LONG": 2, "FREE": 50, "BATCH_BYTES": 3000},
    "no padding": {"KEY_COST": 8, "FREE": 0, "PADDING": 0},
}


@pytest.fixture(params=CUTS)
def cut(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in CUTS[request.param].items():
        monkeypatch.setattr(blocks, name, value)
        if hasattr(batched, name):
            monkeypatch.setattr(batched, name, value)


def random_texts(seed: int) -> list[Text]:
    chance = random.Random(seed)
    texts: list[Text] = []
    for _ in range(12):
        shared = chance.choice(texts).tokens if texts and chance.random() < 0.8 else ()
        tokens = shared[: chance.randint(0, len(shared))] + tuple(chance.choices(range(9), k=chance.randint(1, 15)))
        texts.append(Text(tokens, tokens[: chance.randint(1, 3)]))
    return texts


def packs(seed: int, tokens: int) -> Iterator[list[Stretch]]:
    """The packs of two schedules, of which the second starts from what the first left; row 0 is padding."""
    resident = Resident()
    for turn in range(2):
        schedule = Schedule(build(random_texts(2 * seed + turn % 2) + random_texts(seed)), resident)
        while pack := schedule.take(tokens, 1000):
            yield stretches(pack)
        resident = schedule.resident


def stretches(pack: Sequence[Segment]) -> list[Stretch]:
    found, row = [], 1
    for segment in pack:
        found.append(Stretch(row, segment.start, segment.length))
        row += segment.length
    return found


Left = dict[int, list[Any]]


def leaving(pack: Sequence[Stretch]) -> tuple[Left, dict[int, Callable[..., None]]]:
    """Where the keys and values of every other path go, and what takes them there."""
    left: Left = {}

    def take(number: int, _: Call, keys: Any, values: Any) -> None:
        left[number] = [keys.clone(), values.clone()]

    return left, {number: partial(take, number) for number in range(0, len(pack), 2)}


@pytest.mark.usefixtures("cut")
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("tokens", [7, 1000])
@pytest.mark.parametrize("kind", KINDS)
def test_equals_attention_stretch_by_stretch(kind: str, tokens: int, seed: int) -> None:
    memories = PathMemory(), PathMemory()
    for number, pack in enumerate(packs(seed, tokens)):
        call = KINDS[kind].random(pack[-1].row + pack[-1].length, number)
        (expected_left, expected_leave), (left, leave) = leaving(pack), leaving(pack)
        expected = PathAttention(memories[0], pack, expected_leave).attend(call)
        found = BatchedAttention(memories[1], pack, leave).attend(call)
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
        assert left.keys() == expected_left.keys()
        assert all(torch.equal(*pair) for place in left for pair in zip(left[place], expected_left[place], strict=True))
        # The path that later packs read.
        kept, expected_kept = (memory.room(call, pack[-1].end) for memory in memories)
        for one, other in zip(kept, expected_kept, strict=True):
            assert torch.equal(one[:, : pack[-1].end], other[:, : pack[-1].end])


@pytest.mark.usefixtures("cut")
def test_rows_of_no_stretch_are_zero() -> None:
    found = BatchedAttention(PathMemory(), [Stretch(1, 0, 3), Stretch(6, 1, 2)]).attend(Kind().random(9, 0))
    assert found.shape == (9, 2, 4)
    empty = [0, 4, 5, 8]
    assert torch.equal(found[empty], torch.zeros_like(found[empty]))
    assert not found[[1, 2, 3, 6, 7]].isnan().any()


@pytest.mark.usefixtures("cut")
def test_layers_keep_their_own_and_share_what_is_alike() -> None:
    kinds = [Kind(), Kind(heads=6, value_width=2, window=3), Kind(), Kind(softcap=2.0)]
    memories = PathMemory(), PathMemory()
    for pack in packs(0, 30):
        expected, found = PathAttention(memories[0], pack), BatchedAttention(memories[1], pack)
        for layer, kind in enumerate(kinds):
            call = kind.random(pack[-1].row + pack[-1].length, layer, layer)
            torch.testing.assert_close(found.attend(call), expected.attend(call), atol=1e-5, rtol=1e-5)
        assert len(found._plans) <= 3


# A pack of the usual sizes: a long beginning, short rests, a long one, texts of their own and choices.
USUAL = [(0, 90), *[(90, 25), (90, 31)] * 4, (60, 520), *[(0, 40), (40, 8), (40, 9), (40, 7)] * 3, (0, 600), (200, 530)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kind", ["plain", "grouped queries", "softcap"])
def test_usual_sizes(kind: str, dtype: Any) -> None:
    pack: list[Stretch] = []
    for start, length in USUAL:
        pack.append(Stretch(pack[-1].row + pack[-1].length if pack else 1, start, length))
    call = KINDS[kind].random(pack[-1].row + pack[-1].length, 0)
    call = replace(call, query=call.query.to(dtype), key=call.key.to(dtype), value=call.value.to(dtype))
    found = BatchedAttention(PathMemory(), pack).attend(call)
    tolerance = 1e-5 if dtype == torch.float32 else 2e-2
    torch.testing.assert_close(found, PathAttention(PathMemory(), pack).attend(call), atol=tolerance, rtol=tolerance)


class Calls(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts what torch is asked to do, views aside."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0
        self.names: set[str] = set()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += not function.is_view
        self.names.add(function.overloadpacket.__name__)
        return function(*args, **(kwargs or {}))


def calls_of_a_layer(attention: Attention, call: Call) -> Calls:
    """The calls of a layer that is not the first of its kind."""
    attention.attend(call)
    calls = Calls()
    with calls:
        attention.attend(call)
    return calls


# What can only answer when the device has done all that it was asked before.
WAITING = {"nonzero", "_local_scalar_dense", "masked_select", "item"}


@pytest.mark.parametrize("kind", KINDS)
def test_calls_do_not_grow_with_the_stretches(kind: str) -> None:
    counts = []
    for many in (60, 240):
        pack = [Stretch(1, 0, 20), *(Stretch(21 + 3 * number, 20, 3) for number in range(many))]
        calls = calls_of_a_layer(BatchedAttention(PathMemory(), pack), KINDS[kind].random(21 + 3 * many, 0))
        assert not calls.names & WAITING
        counts.append(calls.count)
    assert counts[0] == counts[1] < 60


def test_the_next_tokens_ask_for_nothing_that_is_known() -> None:
    group = Group((1, 2, 3))
    keys = Kind().random(9, 0)
    for row, length in enumerate((4, 5, 6)):
        group.take(keys, row, keys.key[:, 1 : length + 4], keys.value[:, 1 : length + 4])
        group.lengths.append(length + 1)
    calls = calls_of_a_layer(NextTokens([group]), Kind().random(3, 1))
    assert not calls.names & {*WAITING, "arange", "lift_fresh", "_to_copy"}


def test_the_device_decides() -> None:
    arguments = PathMemory(), [Stretch(0, 0, 1)]
    assert isinstance(path_attention(torch.device("cpu"), *arguments), PathAttention)
    for device in ("cuda", "mps", "xpu"):
        assert isinstance(path_attention(torch.device(device), *arguments), BatchedAttention)
        # What must not depend on other stretches does not run in a block with them.
        assert isinstance(path_attention(torch.device(device), *arguments, together=False), PathAttention)
