"""Random models of many architectures: whether they share prefixes, and that it changes no score."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_lmeval.backends.hf import HFOptions
from pytest_lmeval.backends.protocol import Backend, LoglikelihoodAnswer

from .asking import rolling, scores

SIZES: dict[str, Any] = {
    "vocab_size": 512,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
LATENT = {"q_lora_rank": 16, "kv_lora_rank": 16, "qk_rope_head_dim": 8, "qk_nope_head_dim": 12, "v_head_dim": 6}
EXPERTS = {"n_routed_experts": 4, "num_experts_per_tok": 2, "n_group": 1, "topk_group": 1, "moe_intermediate_size": 16}
OLD = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 128}
MAMBA = {"mamba_d_state": 4, "mamba_d_conv": 2, "mamba_expand": 1, "mamba_dt_rank": 4, "use_mamba_kernels": False}
SLIDING, FULL = "sliding_attention", "full_attention"
LONG_ROPE = {
    "rope_type": "longrope",
    "rope_theta": 1e4,
    "short_factor": [1.0] * 4,
    "long_factor": [2.0] * 4,
    "factor": 2.0,
}
DYNAMIC = {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}

# The class of the configuration and what differs from SIZES; None takes a size away.
SHARING: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("LlamaConfig", {}),
    "llama, scaled rotary": (
        "LlamaConfig",
        {"rope_parameters": {"rope_type": "linear", "rope_theta": 1e4, "factor": 4.0}},
    ),
    "llama, dynamic rotary that the texts do not reach": ("LlamaConfig", {"rope_parameters": DYNAMIC}),
    "phi3, long rotary that the texts do not reach": (
        "Phi3Config",
        {"original_max_position_embeddings": 100, "rope_parameters": LONG_ROPE},
    ),
    "mistral": ("MistralConfig", {"sliding_window": 7}),
    "mixtral": ("MixtralConfig", {"sliding_window": 9, "num_local_experts": 4}),
    "qwen2": ("Qwen2Config", {}),
    "qwen2, windows": ("Qwen2Config", {"use_sliding_window": True, "sliding_window": 6, "max_window_layers": 1}),
    "qwen3": ("Qwen3Config", {"head_dim": 16}),
    "qwen3 moe": (
        "Qwen3MoeConfig",
        {"head_dim": 8, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16},
    ),
    "gemma": ("GemmaConfig", {"head_dim": 16, "num_key_value_heads": 1}),
    "gemma2": (
        "Gemma2Config",
        {"head_dim": 8, "sliding_window": 6, "attn_logit_softcapping": 2.0, "final_logit_softcapping": 5.0},
    ),
    "gemma3": ("Gemma3TextConfig", {"head_dim": 8, "sliding_window": 5, "layer_types": [SLIDING, FULL]}),
    "phi": ("PhiConfig", {"num_key_value_heads": 4}),
    "phi3": ("Phi3Config", {"sliding_window": 8}),
    "gpt2": ("GPT2Config", OLD),
    "gpt bigcode": ("GPTBigCodeConfig", OLD),
    "gpt neox": ("GPTNeoXConfig", {"use_parallel_residual": True}),
    "opt": ("OPTConfig", {"ffn_dim": 48, "word_embed_proj_dim": 32}),
    "olmo2": ("Olmo2Config", {}),
    "stablelm": ("StableLmConfig", {}),
    "cohere": ("CohereConfig", {"logit_scale": 0.25}),
    "cohere2": ("Cohere2Config", {"logit_scale": 0.25, "sliding_window": 6, "layer_types": [SLIDING, FULL]}),
    "granite": (
        "GraniteConfig",
        {"logits_scaling": 3.0, "attention_multiplier": 0.2, "residual_multiplier": 0.5, "embedding_multiplier": 2.0},
    ),
    "starcoder2": ("Starcoder2Config", {"sliding_window": 8}),
    "smollm3": ("SmolLM3Config", {}),
    "gpt-oss": (
        "GptOssConfig",
        {
            "head_dim": 8,
            "sliding_window": 6,
            "layer_types": [SLIDING, FULL],
            "num_local_experts": 4,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e4},
        },
    ),
    "deepseek v3": ("DeepseekV3Config", {**LATENT, **EXPERTS, "num_key_value_heads": 4, "first_k_dense_replace": 1}),
}

# With what the warning says.
PLAIN: dict[str, tuple[str, dict[str, Any], str]] = {
    "bloom": ("BloomConfig", {"n_layer": 2, "n_head": 4}, "its attention cannot be exchanged"),
    "mpt": ("MptConfig", {"d_model": 32, "n_layers": 2, "n_heads": 4}, "its attention cannot be exchanged"),
    "falcon": ("FalconConfig", {"alibi": False}, "its attention cannot be exchanged"),
    "mamba": ("MambaConfig", {}, "it has layers of"),
    "jamba": ("JambaConfig", {**MAMBA, "attn_layer_period": 2, "attn_layer_offset": 1}, "it has layers of"),
    "llama4": (
        "Llama4TextConfig",
        {"head_dim": 8, "attention_chunk_size": 8, "intermediate_size_mlp": 48, "num_local_experts": 2},
        "chunked_attention",
    ),
    "dynamic rotary": (
        "LlamaConfig",
        {"max_position_embeddings": 64, "rope_parameters": DYNAMIC},
        r"rotary embedding \(dynamic\) changes with texts of more than 64 tokens",
    ),
    "longrope": (
        "Phi3Config",
        {"original_max_position_embeddings": 64, "rope_parameters": LONG_ROPE},
        r"rotary embedding \(longrope\) changes with texts of more than 64 tokens",
    ),
    "layers that run twice": ("DiffLlamaConfig", {}, "with shared prefixes it gives other logits"),
    "untold windows": ("PhimoeConfig", {"sliding_window": 6, "num_local_experts": 4}, "do not tell their attention"),
    "a mask of its own": ("DogeConfig", {"num_key_value_heads": 4}, "brings a mask or a bias of its own"),
}


def build(config: str, changes: dict[str, Any], dtype: str = "float32") -> Any:
    import torch
    import transformers

    sizes = {key: value for key, value in (SIZES | changes).items() if value is not None}
    if "n_embd" in changes or "n_layer" in changes or "d_model" in changes:
        # Older classes have other names for the same, and some take both.
        sizes = {key: value for key, value in sizes.items() if key in changes or key == "vocab_size" or "_id" in key}
    if config == "BloomConfig":
        sizes["hidden_size"] = 32
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = transformers.AutoModelForCausalLM.from_config(getattr(transformers, config)(**sizes))
    for parameter in model.parameters():
        # Spread the logits, and let attention choose: in a model that is as good as linear, mistakes do not show.
        torch.nn.init.normal_(parameter, mean=float(parameter.dim() == 1), std=0.3 if parameter.dim() > 1 else 0.1)
    return model.to(getattr(torch, dtype)).eval()


def open_model(model: Any, tokenizer: Any, **options: Any) -> Backend:
    from pytest_lmeval.backends.hf.backend import HFBackend
    from pytest_lmeval.backends.hf.model import assemble

    chosen = replace(HFOptions(device="cpu", max_length=96), **options)
    return HFBackend(assemble("random", model, tokenizer, chosen), chosen)


@pytest.fixture(scope="module")
def tokenizer(shared_dir: Path) -> Any:
    import transformers

    return transformers.AutoTokenizer.from_pretrained(shared_dir / "models" / "stories260K")


def pairs() -> list[tuple[str, str]]:
    """Several documents with several choices each, some after the same examples, longer than every window."""
    chance = random.Random(0)
    words = ("Tom", "Lily", "dog", "cat", "ball", "park", "saw", "ran", "sat", "was", "big", "red", "and", "the", "in")

    def some(least: int, most: int) -> str:
        return " ".join(chance.choices(words, k=chance.randint(least, most)))

    examples = some(12, 16)
    asked: list[tuple[str, str]] = []
    for context in (*(f"{examples} {some(3, 12)}" for _ in range(3)), some(1, 2), some(60, 80), ""):
        asked.extend((context, f" {some(1, 6)}") for _ in range(3))
    return asked


def read_tokens(model: Any, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count the tokens that the model reads, pass by pass."""
    embedding = model.get_input_embeddings()
    original: Callable[..., Any] = embedding.forward
    counts: list[int] = []

    def forward(ids: Any) -> Any:
        counts.append(ids.numel())
        return original(ids)

    monkeypatch.setattr(embedding, "forward", forward)
    return counts


def distinct(backend: Backend, asked: list[tuple[str, str]]) -> int:
    inputs = [span.inputs for span in backend._parts.encoder.pairs(asked)]  # type: ignore[attr-defined]
    return len({text[: end + 1] for text in inputs for end in range(len(text))})


def compare(found: Any, expected: Any, tolerance: float = 1e-4) -> None:
    for pair, answer, wanted in zip(pairs(), found, expected, strict=True):
        assert isinstance(answer, LoglikelihoodAnswer)
        assert isinstance(wanted, LoglikelihoodAnswer)
        assert answer.logprob == pytest.approx(wanted.logprob, abs=tolerance), pair
        assert (answer.is_greedy, answer.tokens) == (wanted.is_greedy, wanted.tokens)


@pytest.mark.parametrize("name", SHARING)
def test_sharing_changes_no_score(
    name: str, tokenizer: Any, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    model = build(*SHARING[name])
    plain = open_model(model, tokenizer, attn_implementation="eager")
    expected, expected_whole = scores(plain, pairs()), rolling(plain, [" ".join(pair) for pair in pairs()])
    assert len({round(answer.logprob, 3) for answer in expected if isinstance(answer, LoglikelihoodAnswer)}) > 12
    for tokens in (1000, 24, 5):
        shared = open_model(model, tokenizer, batch_tokens=tokens)
        with monkeypatch.context() as patch:
            counts = read_tokens(model, patch)
            # The one window of the first holds all; the others know of what went before as far as it lies in memory.
            compare(scores(shared, pairs()), expected)
            assert max(counts) <= tokens
            if tokens == 1000:
                assert sum(counts) == distinct(shared, pairs())
        whole = rolling(shared, [" ".join(pair) for pair in pairs()])
        for answer, wanted in zip(whole, expected_whole, strict=True):
            assert answer.logprob == pytest.approx(wanted.logprob, abs=2e-4)  # type: ignore[union-attr]
    assert not [str(warning.message) for warning in recwarn if "plain batches" in str(warning.message)]


@pytest.mark.parametrize("name", PLAIN)
def test_a_model_that_cannot_share_runs_in_plain_batches_and_says_why(name: str, tokenizer: Any) -> None:
    config, changes, reason = PLAIN[name]
    model = build(config, changes)
    with pytest.warns(UserWarning, match=f"random runs in plain batches.*{reason}"):
        backend = open_model(model, tokenizer)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # once is enough
        found = scores(backend, pairs())
    compare(found, [scores(backend, [pair])[0] for pair in pairs()])


@pytest.mark.parametrize("name", ["llama", "mistral", "gemma2", "gemma3", "gpt-oss", "cohere", "granite", "mixtral"])
def test_in_bfloat16_sharing_is_as_good_as_plain_batches(name: str, tokenizer: Any) -> None:
    exact = scores(open_model(build(*SHARING[name]), tokenizer, attn_implementation="eager"), pairs())
    model = build(*SHARING[name], dtype="bfloat16")
    plain = scores(open_model(model, tokenizer, attn_implementation="sdpa"), pairs())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        shared = scores(open_model(model, tokenizer, batch_tokens=24), pairs())

    def error(answers: Any) -> float:
        off = [abs(one.logprob - other.logprob) for one, other in zip(answers, exact, strict=True)]  # type: ignore[union-attr]
        return float(sum(off) / len(off))

    assert error(shared) < 1.5 * error(plain) + 0.01


def test_logits_that_are_hardly_bounded_are_told_from_the_output_layers(tokenizer: Any) -> None:
    import torch

    from pytest_lmeval.backends.hf.scoring.probe import probe

    model = build("Gemma2Config", {"head_dim": 8, "sliding_window": 6, "final_logit_softcapping": 30.0})
    model.get_output_embeddings().weight = torch.nn.Parameter(model.get_output_embeddings().weight / 20)
    outputs = probe(model, 96).outputs
    assert outputs is not None
    assert outputs.name == "logits_to_keep"


def test_a_vocabulary_smaller_than_the_tokens_tried() -> None:
    from pytest_lmeval.backends.hf.scoring.probe import probe

    assert probe(build("LlamaConfig", {"vocab_size": 8}), 96).outputs is not None
