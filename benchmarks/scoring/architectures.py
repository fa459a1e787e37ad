"""Shapes of published models, to be filled with random weights where their own cannot be had.

Speed depends on the shape alone, so the scaling of positions is left out. The figures are those of the configurations
that the models are published with.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_LLAMA_3: dict[str, Any] = {
    "model_type": "llama",
    "vocab_size": 128_256,
    "num_key_value_heads": 8,
    "num_attention_heads": 32,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-5,
    "max_position_embeddings": 131_072,
}

ARCHITECTURES: Mapping[str, Mapping[str, Any]] = {
    # Llama 3.2 1B: 1,235,814,400 parameters, output projection tied to the embedding.
    "llama-1b": _LLAMA_3
    | {
        "hidden_size": 2048,
        "intermediate_size": 8192,
        "num_hidden_layers": 16,
        "head_dim": 64,
        "tie_word_embeddings": True,
    },
    # Llama 3.1 8B: 8,030,261,248 parameters.
    "llama-8b": _LLAMA_3
    | {
        "hidden_size": 4096,
        "intermediate_size": 14_336,
        "num_hidden_layers": 32,
        "head_dim": 128,
        "tie_word_embeddings": False,
    },
}
