"""What a vLLM engine is made of: goes into reports and baselines."""

from __future__ import annotations

from typing import Any

import torch
import vllm
from vllm.platforms import current_platform

from pytest_lmeval.backends.checkpoints.tokenizers import template_hash, tokenizer_hash
from pytest_lmeval.backends.protocol import ModelInfo
from pytest_lmeval.backends.vllm import VLLMOptions
from pytest_lmeval.backends.vllm.adapters import Adapter
from pytest_lmeval.backends.vllm.engine import Engine

Fact = str | int | float | bool | None


def describe(
    name: str, engine: Engine, tokenizer: Any, options: VLLMOptions, max_length: int, adapter: Adapter | None
) -> ModelInfo:
    """Say what answers: the model, its engine, and what of the engine's settings numbers depend on."""
    model = engine.config.model_config
    return ModelInfo(
        backend="vllm",
        name=name if adapter is None else f"{name}+{options.lora}",
        revision=getattr(model.hf_config, "_commit_hash", None) or model.revision,
        dtype=str(model.dtype).removeprefix("torch."),
        max_length=max_length,
        details={
            **_engine(engine, options),
            "tokenizer_sha256": tokenizer_hash(tokenizer),
            "chat_template_sha256": template_hash(tokenizer),
            **_known(quantization=model.quantization, stride=options.stride),
            **({} if adapter is None else {"lora": options.lora, "lora_sha256": adapter.sha256}),
        },
    )


def _engine(engine: Engine, options: VLLMOptions) -> dict[str, Fact]:
    config = engine.config
    return {
        "architecture": ", ".join(config.model_config.architectures),
        "device": _device(),
        "vllm": vllm.__version__,
        "torch": str(torch.__version__),
        "runner": "V2" if getattr(config, "use_v2_model_runner", False) else "V1",
        "attention_backend": _attention(config),
        "block_size": config.cache_config.block_size,
        "kv_cache_dtype": str(config.cache_config.cache_dtype),
        "prefix_caching": config.cache_config.enable_prefix_caching,
        "tensor_parallel_size": config.parallel_config.tensor_parallel_size,
        "max_num_seqs": config.scheduler_config.max_num_seqs,
        "max_num_batched_tokens": config.scheduler_config.max_num_batched_tokens,
        "enforce_eager": config.model_config.enforce_eager,
        "batch_invariant": options.deterministic,
    }


def _attention(config: Any) -> str | None:
    """The attention of the layers, known where they are in this process, else what the user has chosen."""
    layers = config.compilation_config.static_forward_context.values()
    names = {layer.get_attn_backend().get_name() for layer in layers if hasattr(layer, "get_attn_backend")}
    chosen = config.attention_config.backend
    return ", ".join(sorted(names)) or (None if chosen is None else chosen.name)


def _device() -> str:
    return str(current_platform.device_type if current_platform.is_cpu() else current_platform.get_device_name())


def _known(**facts: Any) -> dict[str, Fact]:
    """What few models have is left out of the others' baselines."""
    return {key: str(value) for key, value in facts.items() if value is not None}
