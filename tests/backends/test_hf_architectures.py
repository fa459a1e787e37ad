"""Random models of other shapes: absolute positions, no logits_to_keep, a tokenizer without BOS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_lmeval.backends.hf import HFOptions
from pytest_lmeval.backends.protocol import Backend, GenerationSettings, LoglikelihoodAnswer

from .asking import ask_oracle, scores, texts

PAIRS = [
    ("Once upon a time", " there was"),
    ("", "Hello"),
    ("Tom saw a very big dog in the park. " * 2, "It"),
    ("a ", "b c d e f"),
]
OPTIONS = HFOptions(dtype="float32", device="cpu")


def _models() -> dict[str, Any]:
    import torch
    import transformers

    sizes: dict[str, Any] = {"vocab_size": 512, "bos_token_id": 1, "eos_token_id": 2}
    configs = {
        "gpt2": transformers.GPT2Config(n_positions=64, n_embd=32, n_layer=2, n_head=2, **sizes),
        "bloom": transformers.BloomConfig(hidden_size=32, n_layer=2, n_head=2, seq_length=64, **sizes),
        "mamba": transformers.MambaConfig(hidden_size=32, num_hidden_layers=2, **sizes),
    }
    models = {}
    for name, config in configs.items():
        torch.manual_seed(0)
        models[name] = transformers.AutoModelForCausalLM.from_config(config).eval()
        for parameter in models[name].parameters():
            parameter.data.mul_(4)  # spread the logits: ties are no test
    return models


@pytest.fixture(scope="module")
def models() -> dict[str, Any]:
    return _models()


@pytest.fixture(scope="module")
def tokenizer(shared_dir: Path) -> Any:
    import transformers
    from tokenizers.processors import ByteLevel

    tokenizer = transformers.AutoTokenizer.from_pretrained(shared_dir / "models" / "stories260K")
    tokenizer.backend_tokenizer.post_processor = ByteLevel()  # adds no BOS
    tokenizer.bos_token = None
    return tokenizer


def _backend(model: Any, tokenizer: Any, **options: Any) -> Backend:
    from dataclasses import replace

    from pytest_lmeval.backends.hf.backend import HFBackend
    from pytest_lmeval.backends.hf.model import assemble

    chosen = replace(OPTIONS, max_length=64, **options)
    return HFBackend(assemble("random", model, tokenizer, chosen), chosen)


@pytest.mark.parametrize("name", ["gpt2", "bloom", "mamba"])
def test_scores_equal_the_oracles(name: str, models: dict[str, Any], tokenizer: Any) -> None:
    huggingface = pytest.importorskip("lm_eval.models.huggingface", reason="lm_eval is not installed")
    lm = huggingface.HFLM(pretrained=models[name], tokenizer=tokenizer, batch_size=1, max_length=64)
    backend = _backend(models[name], tokenizer)
    for pair, answer in zip(PAIRS, scores(backend, PAIRS), strict=True):
        assert isinstance(answer, LoglikelihoodAnswer)
        logprob, is_greedy = ask_oracle(lm, "loglikelihood", *pair)
        assert answer.logprob == pytest.approx(logprob, abs=1e-4), pair
        assert answer.is_greedy is is_greedy, pair


@pytest.mark.parametrize("name", ["gpt2", "bloom"])
def test_padding_does_not_change_what_is_generated(name: str, models: dict[str, Any], tokenizer: Any) -> None:
    asked = [(context, GenerationSettings(max_tokens=8)) for context, _ in PAIRS]
    together = texts(_backend(models[name], tokenizer), asked)
    assert together == texts(_backend(models[name], tokenizer, batch_size=1), asked)


def test_a_context_without_tokens_is_none(models: dict[str, Any], tokenizer: Any) -> None:
    from copy import deepcopy

    from tokenizers.normalizers import Replace, Sequence

    deaf = deepcopy(tokenizer)
    normalizer = deaf.backend_tokenizer.normalizer
    steps = [Replace("\u200b", "")] + ([normalizer] if normalizer else [])
    deaf.backend_tokenizer.normalizer = Sequence(steps)
    backend = _backend(models["gpt2"], deaf)
    silent, without = scores(backend, [("\u200b", "Hello"), ("", "Hello")])
    assert isinstance(silent, LoglikelihoodAnswer)
    assert isinstance(without, LoglikelihoodAnswer)
    assert silent.logprob == pytest.approx(without.logprob, abs=1e-4)


@pytest.mark.parametrize("keep", ["PER_ROW", "SHARED", "ALL"])
def test_ways_to_ask_for_logits_agree(
    keep: str, stories260k: Backend, shared_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pytest_lmeval.backends.hf import plugin
    from pytest_lmeval.backends.hf.scoring.plain import Keep

    expected = scores(stories260k, PAIRS)
    options = HFOptions(dtype="float32", device="cpu", attn_implementation="sdpa")
    plain = plugin.open(str(shared_dir / "models" / "stories260K"), options)
    monkeypatch.setattr(plain._parts.scorer, "_keep", Keep[keep])  # type: ignore[attr-defined]
    for answer, wanted in zip(scores(plain, PAIRS), expected, strict=True):
        assert isinstance(answer, LoglikelihoodAnswer)
        assert isinstance(wanted, LoglikelihoodAnswer)
        assert answer.logprob == pytest.approx(wanted.logprob, abs=1e-4)
