"""Scores from tiles of logits, against torch's own functions on all of them in float64."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")

import torch

from pytest_lmeval.backends.hf.scoring import projection as module
from pytest_lmeval.backends.hf.scoring.projection import Asked, Found, Projection

from .test_hf_batched import WAITING, Calls

ROWS, SIZE, VOCABULARY = 9, 5, 37


def by_slices(weight: Any, **options: Any) -> Projection:
    return Projection(
        lambda hidden, first, last: hidden @ weight[first:last].T, len(weight), "cpu", sliced=True, **options
    )


def of_logits(logits: Any) -> tuple[Projection, Any]:
    """A projection that finds ``logits`` in the rows themselves."""
    return Projection(lambda hidden, first, last: hidden[:, first:last], logits.shape[1], "cpu", sliced=True), logits


def asked(seed: int = 0, pairs: int = 40, vocabulary: int = VOCABULARY) -> Asked:
    chance = torch.Generator().manual_seed(seed)
    rows = torch.randint(ROWS, (pairs,), generator=chance).sort().values
    return Asked(rows, torch.randint(vocabulary, (pairs,), generator=chance))


def compare(found: Found, logits: Any, pairs: Asked, tolerance: float = 1e-5) -> None:
    expected = torch.log_softmax(logits.double(), dim=-1)[pairs.rows, pairs.tokens]
    assert found.logprobs.dtype == torch.float32
    torch.testing.assert_close(found.logprobs.double(), expected, atol=tolerance, rtol=tolerance)
    first_of_largest = torch.tensor([row.index(max(row)) for row in logits.tolist()])
    assert found.greedy.tolist() == (first_of_largest[pairs.rows] == pairs.tokens).tolist()


@pytest.fixture(params=[(1, 1), (7, 3), (4, 2), (40, 2), (10**6, 10**6), (40, 1024)])
def tiles(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Logits in a tile and rows in a tile."""
    monkeypatch.setitem(module.TILE_LOGITS, "cpu", request.param[0])
    monkeypatch.setitem(module.TILE_ROWS, "cpu", request.param[1])


@pytest.mark.usefixtures("tiles")
@pytest.mark.parametrize("seed", range(3))
def test_equals_log_softmax_and_argmax(seed: int) -> None:
    torch.manual_seed(seed)
    hidden, weight, pairs = torch.randn(ROWS, SIZE), torch.randn(VOCABULARY, SIZE), asked(seed)
    projection = by_slices(weight)
    compare(projection.score(hidden, pairs), hidden @ weight.T, pairs)
    torch.testing.assert_close(projection.logits(hidden), hidden @ weight.T)


@pytest.mark.usefixtures("tiles")
def test_a_head_that_gives_all_logits_at_once() -> None:
    torch.manual_seed(0)
    hidden, weight, pairs = torch.randn(ROWS, SIZE), torch.randn(VOCABULARY, SIZE), asked()
    head = Projection(lambda states, first, last: (states @ weight.T)[:, first:last], VOCABULARY, "cpu", sliced=False)
    compare(head.score(hidden, pairs), hidden @ weight.T, pairs)
    torch.testing.assert_close(head.logits(hidden), hidden @ weight.T)


@pytest.mark.usefixtures("tiles")
@pytest.mark.parametrize("levels", [1, 2, 4])
def test_the_first_of_equals_is_the_greedy_one(levels: int) -> None:
    torch.manual_seed(levels)
    projection, logits = of_logits(torch.randint(levels, (ROWS, VOCABULARY)).float())
    rows = torch.arange(ROWS).repeat_interleave(VOCABULARY)
    pairs = Asked(rows, torch.arange(VOCABULARY).repeat(ROWS))
    compare(projection.score(logits, pairs), logits, pairs)


@pytest.mark.usefixtures("tiles")
def test_bfloat16_is_summed_in_float32() -> None:
    torch.manual_seed(0)
    hidden, weight = torch.randn(ROWS, SIZE).bfloat16(), torch.randn(VOCABULARY, SIZE).bfloat16()
    pairs = asked()
    compare(by_slices(weight).score(hidden, pairs), hidden @ weight.T, pairs)


@pytest.mark.usefixtures("tiles")
def test_nan_stays_in_its_row() -> None:
    projection, logits = of_logits(torch.randn(ROWS, VOCABULARY))
    broken = logits.clone()
    broken[3, 30] = torch.nan
    pairs = asked()
    found, expected = projection.score(broken, pairs), projection.score(logits, pairs)
    touched = pairs.rows == 3
    assert touched.any()
    assert found.logprobs[touched].isnan().all()
    assert not found.greedy[touched].any()
    assert torch.equal(found.logprobs[~touched], expected.logprobs[~touched])
    assert torch.equal(found.greedy[~touched], expected.greedy[~touched])


@pytest.mark.usefixtures("tiles")
@pytest.mark.parametrize("excluded", [-torch.inf, torch.finfo(torch.float32).min, -1e4])
def test_tokens_that_a_model_excludes(excluded: float) -> None:
    torch.manual_seed(0)
    projection, logits = of_logits(torch.randn(ROWS, VOCABULARY))
    logits[:, :4] = excluded
    logits[:, 20:30] = excluded
    pairs = asked()
    compare(projection.score(logits, pairs), logits, pairs)


@pytest.mark.usefixtures("tiles")
def test_large_logits() -> None:
    torch.manual_seed(0)
    projection, logits = of_logits(torch.randn(ROWS, VOCABULARY) * 1000)
    compare(projection.score(logits, asked()), logits, asked())


def test_pairs_between_rows() -> None:
    pairs = Asked(torch.tensor([0, 0, 2, 5, 5, 6]), torch.arange(6))
    part = pairs.between(2, 6)
    assert (part.rows.tolist(), part.tokens.tolist()) == ([0, 3, 3], [2, 3, 4])
    assert len(pairs.between(3, 5).rows) == 0


@pytest.mark.usefixtures("tiles")
@pytest.mark.parametrize("levels", [1, 2, 4, 10**6])
def test_a_gpu_is_not_waited_for_and_finds_the_same(levels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(module.TILE_LOGITS, "cuda", module.TILE_LOGITS["cpu"])
    monkeypatch.setitem(module.TILE_ROWS, "cuda", module.TILE_ROWS["cpu"])
    torch.manual_seed(levels)
    logits = torch.randint(levels, (ROWS, VOCABULARY)) / levels
    pairs = Asked(torch.arange(ROWS).repeat_interleave(VOCABULARY), torch.arange(VOCABULARY).repeat(ROWS))
    for device, waits in (("cpu", True), ("cuda", False)):
        # Both run on a CPU: what is done for the device is what counts.
        head = Projection(lambda states, first, last: states[:, first:last], VOCABULARY, device, sliced=True)
        with Calls() as calls:
            found = head.score(logits, pairs)
        compare(found, logits, pairs)
        assert bool(calls.names & WAITING) is waits
