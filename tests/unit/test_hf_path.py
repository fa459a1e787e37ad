"""Attention along the paths of random tries, against full attention of each text alone."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest

pytest.importorskip("torch")

import torch

from pytest_lmeval.backends.hf.attention import path as module
from pytest_lmeval.backends.hf.attention.interface import Call
from pytest_lmeval.backends.hf.attention.path import PathAttention, PathMemory, Stretch
from pytest_lmeval.backends.hf.scoring.schedule import Resident, Schedule, Segment
from pytest_lmeval.backends.hf.scoring.trie import Text, build
from pytest_lmeval.backends.text.encoding import Tokens

from .attention_kinds import KINDS, Kind
from .test_hf_trie import beginnings, random_texts


class Projections:
    """Query, key and value of each beginning of a text, as a layer makes them of a token and all before it."""

    def __init__(self, kind: Kind, texts: Sequence[Text]) -> None:
        chance = torch.Generator().manual_seed(1)
        self._of = {
            text: [torch.randn(*size, generator=chance) for size in kind.sizes] for text in sorted(beginnings(texts))
        }

    def of(self, texts: Sequence[Tokens]) -> list[Any]:
        """Each heads x texts x width."""
        return [torch.stack(parts, dim=1) for parts in zip(*(self._of[text] for text in texts), strict=True)]


def alone(kind: Kind, projections: Projections, text: Tokens) -> Any:
    """Attention of the last token on the whole text, heads x width, spelled out in float64."""
    query, key, value = projections.of([text[: end + 1] for end in range(len(text))])
    first = max(0, len(text) - kind.window) if kind.window else 0
    group = kind.heads // kind.key_heads
    rows = []
    for head in range(kind.heads):
        keys, values = key[head // group, first:].double(), value[head // group, first:].double()
        scores = keys @ query[head, -1].double() * (4**-0.5 if kind.scale is None else kind.scale)
        if kind.softcap is not None:
            scores = kind.softcap * torch.tanh(scores / kind.softcap)
        weights = scores.exp()
        total = weights.sum()
        if kind.sinks:
            total = total + torch.linspace(-1, 2, kind.heads)[head].double().exp()
        rows.append(weights @ values / total)
    return torch.stack(rows)


def stretches(pack: Sequence[Segment], padding: int = 0) -> list[Stretch]:
    found, row = [], padding
    for segment in pack:
        found.append(Stretch(row, segment.start, segment.length))
        row += segment.length
    return found


@pytest.mark.parametrize("long", [1, 64])
@pytest.mark.parametrize("tokens", [3, 1000])
@pytest.mark.parametrize("kind", KINDS)
def test_each_token_sees_its_own_text(kind: str, tokens: int, long: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONG", long)  # common beginnings attended to at once, or not
    monkeypatch.setattr(module, "GROWTH", 5)  # the memory grows between packs
    start = tuple(range(100, 106))
    texts = [Text(start + text.tokens, text.targets) for text in random_texts(3)]
    projections, memory = Projections(KINDS[kind], texts), PathMemory()
    schedule = Schedule(build(texts), Resident())
    seen = 0
    while pack := schedule.take(tokens, 1000):
        run = [segment.text[: end + 1] for segment in pack for end in range(segment.start, segment.end)]
        call = KINDS[kind].call(projections.of(run))
        found = PathAttention(memory, stretches(pack)).attend(call)
        for text, row in zip(run, found, strict=True):
            torch.testing.assert_close(row.double(), alone(KINDS[kind], projections, text), atol=1e-5, rtol=1e-5)
        seen += len(run)
    assert seen == len(beginnings(texts))


def test_layers_keep_their_own() -> None:
    kinds = [Kind(), Kind(heads=4, key_heads=1, value_width=2, window=2)]
    texts = [Text((1, 2, 3, 4), (0,)), Text((1, 2, 5), (0,))]
    projections, memory = [Projections(kind, texts) for kind in kinds], PathMemory()
    schedule = Schedule(build(texts), Resident())
    while pack := schedule.take(2, 9):
        run = [segment.text[: end + 1] for segment in pack for end in range(segment.start, segment.end)]
        attention = PathAttention(memory, stretches(pack))
        for layer, kind in enumerate(kinds):
            found = attention.attend(kind.call(projections[layer].of(run), layer))
            for text, row in zip(run, found, strict=True):
                torch.testing.assert_close(row.double(), alone(kind, projections[layer], text), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_no_stretch_are_zero_and_touch_nothing(kind: str) -> None:
    texts = [Text((1, 2, 3), (0,))]
    projections = Projections(KINDS[kind], texts)
    run: list[Tokens] = [(1,), (1, 2), (1, 2, 3)]
    padded = [torch.cat([torch.full_like(part[:, :2], torch.nan), part], dim=1) for part in projections.of(run)]
    found = PathAttention(PathMemory(), [Stretch(2, 0, 3)]).attend(KINDS[kind].call(padded))
    assert torch.equal(found[:2], torch.zeros_like(found[:2]))
    for text, row in zip(run, found[2:], strict=True):
        torch.testing.assert_close(row.double(), alone(KINDS[kind], projections, text), atol=1e-5, rtol=1e-5)


def test_each_stretch_leaves_the_path_to_its_end() -> None:
    texts = [Text((1, 2, 3), (0,)), Text((1, 4), (0,))]
    projections = Projections(Kind(), texts)
    run: list[Tokens] = [(1,), (1, 2), (1, 2, 3), (1, 4)]
    left: dict[int, tuple[Any, Any]] = {}

    def take(number: int, _: Call, keys: Any, values: Any) -> None:
        left[number] = keys.clone(), values.clone()

    parts = [Stretch(0, 0, 1), Stretch(1, 1, 2), Stretch(3, 1, 1)]
    leave = {number: partial(take, number) for number in range(3)}
    PathAttention(PathMemory(), parts, leave).attend(Kind().call(projections.of(run)))
    paths: list[list[Tokens]] = [[(1,)], [(1,), (1, 2), (1, 2, 3)], [(1,), (1, 4)]]
    for number, path in enumerate(paths):
        _, key, value = projections.of(path)
        assert torch.equal(left[number][0], key)
        assert torch.equal(left[number][1], value)
