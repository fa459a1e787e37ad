"""A model whose attention runs in batches, as on a GPU, against the same model as it runs on a CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from pytest_lmeval.backends.hf import HFOptions, plugin
from pytest_lmeval.backends.hf.attention import batched
from pytest_lmeval.backends.protocol import (
    Backend,
    Failure,
    GenerationSettings,
    LoglikelihoodAnswer,
    RollingAnswer,
)

from .asking import generated, rolling, scores

CONTEXTS = ["Lily saw a dog. " * 9, "Lily saw a dog. " * 9 + "It was big.", "Tom had", "Once upon a time there was"]
ENDS = [" a red ball", " The", " It ran.", " a cat who liked to play with a ball."]


@pytest.fixture(params=[None, 16])
def in_batches(request: pytest.FixtureRequest, shared_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Backend:
    """A model all of whose paths are attended to in batches, in packs of many tokens or of few."""
    used: list[Any] = []

    class Counted(batched.BatchedAttention):
        def __init__(self, *arguments: Any, apart: bool) -> None:
            assert apart
            super().__init__(*arguments)

        def attend(self, call: Any) -> Any:
            used.append(call)
            return super().attend(call)

    monkeypatch.setattr(batched, "PathAttention", Counted)
    options = HFOptions(dtype="float32", device="cpu", batch_tokens=request.param)
    backend = plugin.open(str(shared_dir / "models" / "stories260K"), options)
    assert used, "the model was tried with attention in batches"
    return backend


def test_scores(in_batches: Backend, stories260k: Backend) -> None:
    pairs = [(context, end) for context in CONTEXTS for end in ENDS]
    for found, expected in zip(scores(in_batches, pairs), scores(stories260k, pairs), strict=True):
        assert isinstance(found, LoglikelihoodAnswer)
        assert isinstance(expected, LoglikelihoodAnswer)
        assert found.logprob == pytest.approx(expected.logprob, abs=1e-4)
        assert found.is_greedy == expected.is_greedy


def test_rolling(in_batches: Backend, stories260k: Backend) -> None:
    texts = [context * 8 for context in CONTEXTS]
    for found, expected in zip(rolling(in_batches, texts), rolling(stories260k, texts), strict=True):
        assert isinstance(found, RollingAnswer)
        assert isinstance(expected, RollingAnswer)
        assert found.logprob == pytest.approx(expected.logprob, rel=1e-5)


def test_generation(in_batches: Backend, stories260k: Backend) -> None:
    asked = [(context, GenerationSettings(until=("\n",), max_tokens=most)) for context in CONTEXTS for most in (5, 24)]
    found = generated(in_batches, asked)
    assert not any(isinstance(answer, Failure) for answer in found)
    assert found == generated(stories260k, asked)


def test_a_text_with_nan_does_not_take_others_down(
    in_batches: Backend, stories260k: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = in_batches._parts  # type: ignore[attr-defined]
    monkeypatch.setattr(parts.scorer._packs, "isolates", False)
    pairs = [(context, end) for context in CONTEXTS for end in ENDS]
    expected = scores(stories260k, pairs)
    ids = [set(span.inputs) for span in parts.encoder.pairs(pairs)]
    # A token that some texts read and others do not.
    token = next(token for token in sorted(set().union(*ids)) if 0 < sum(token in text for text in ids) < len(ids) / 2)

    def overflow(module: Any, inputs: tuple[Any], output: Any) -> Any:
        return output.masked_fill((inputs[0] == token)[..., None], float("nan"))

    parts._loaded.model.get_input_embeddings().register_forward_hook(overflow)
    for text, found, clean in zip(ids, scores(in_batches, pairs), expected, strict=True):
        if token in text:
            assert isinstance(found, Failure)
        else:
            assert isinstance(found, LoglikelihoodAnswer)
            assert isinstance(clean, LoglikelihoodAnswer)
            assert found.logprob == pytest.approx(clean.logprob, abs=1e-4)
