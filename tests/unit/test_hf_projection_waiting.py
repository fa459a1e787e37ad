"""Scores on a device that must not be waited for equal those on a CPU; here both are a CPU."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")

import torch

from pytest_lmeval.backends.hf import projection as module
from pytest_lmeval.backends.hf.projection import Asked, Projection

from .test_hf_batched import WAITING, Calls

ROWS, VOCABULARY = 9, 37


def projection(device: str) -> Projection:
    return Projection(lambda states, first, last: states[:, first:last], VOCABULARY, device, sliced=True)


@pytest.mark.parametrize("tiles", [(1, 1), (7, 3), (40, 2), (10**6, 10**6)])
@pytest.mark.parametrize("levels", [1, 2, 4, 10**6])
def test_equal_without_waiting(levels: int, tiles: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    for device in ("cpu", "cuda"):
        monkeypatch.setitem(module.TILE_LOGITS, device, tiles[0])
        monkeypatch.setitem(module.TILE_ROWS, device, tiles[1])
    torch.manual_seed(levels)
    logits = torch.randint(levels, (ROWS, VOCABULARY)) / levels
    pairs = Asked(torch.arange(ROWS).repeat_interleave(VOCABULARY), torch.arange(VOCABULARY).repeat(ROWS))
    expected: Any = torch.log_softmax(logits.double(), dim=-1).flatten()
    for device in ("cpu", "cuda"):
        with Calls() as calls:
            found = projection(device).score(logits, pairs)
        torch.testing.assert_close(found.logprobs.double(), expected, atol=1e-5, rtol=1e-5)
        greedy = found.greedy.view(ROWS, VOCABULARY)
        assert torch.equal(greedy.nonzero()[:, 1], logits.argmax(-1))
        assert bool(calls.names & WAITING) == (device == "cpu")
