"""Read a ``.gguf`` file of a Llama model, fast.

transformers reads any architecture, and takes 10 seconds for the demo model: it parses the file three times with
a parser made for inspection. For the one architecture that every demo run waits for, this takes one.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from pytest_lmeval.errors import ModelSpecError

# Value types by number: struct's letter for plain ones.
PLAIN = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9

CONTROL_TOKEN = 3  # in tokenizer.ggml.token_type

WEIGHTS = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


@dataclass(frozen=True, slots=True)
class GGUF:
    """A file's metadata, and a function for each tensor that dequantizes it to float32."""

    metadata: dict[str, Any]
    tensors: dict[str, Callable[[], np.ndarray[Any, Any]]]


def read(path: Path) -> GGUF:
    """Parse the header of ``path``; tensors stay on disk until asked for."""
    blob = np.memmap(path, mode="r")
    cursor = _Cursor(path)
    magic, version, tensor_count, entry_count = cursor.unpack("4sIQQ")
    if magic != b"GGUF" or version < 2:
        raise ModelSpecError(f"{path} is not a .gguf file of version 2 or later.")
    metadata = {cursor.string(): cursor.value(cursor.unpack("I")[0]) for _ in range(entry_count)}
    infos = [cursor.tensor() for _ in range(tensor_count)]
    alignment = metadata.get("general.alignment", 32)
    start = -(-cursor.place // alignment) * alignment
    return GGUF(metadata, {name: _Tensor(blob, start + at, shape, kind) for name, shape, kind, at in infos})


def llama(file: GGUF, dtype: torch.dtype) -> Any:
    """The model in ``file`` as plain weights of type ``dtype``."""
    config = _config(file)
    heads, key_heads = config.num_attention_heads, config.num_key_value_heads
    permuted = {"attn_q": heads, "attn_k": key_heads}
    state = {}
    for name, tensor in file.tensors.items():
        part = name.split(".")[-2]
        weights = _half_rotated(tensor(), permuted[part]) if part in permuted else tensor()
        state[_weight_name(name)] = torch.from_numpy(weights).to(dtype)
    state.setdefault("lm_head.weight", state["model.embed_tokens.weight"])
    model = LlamaForCausalLM.from_pretrained(None, config=config, state_dict=state, dtype=dtype)
    model.generation_config = GenerationConfig.from_model_config(config)
    return model


def byte_level_tokenizer(file: GGUF) -> Any:
    """The GPT-2 kind of tokenizer in ``file``."""
    facts = {key.removeprefix("tokenizer.ggml."): value for key, value in file.metadata.items() if "tokenizer" in key}
    tokens = facts["tokens"]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    merges = [tuple(merge.split(" ")) for merge in facts["merges"]]
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    control = [token for token, kind in zip(tokens, facts["token_type"], strict=True) if kind == CONTROL_TOKEN]
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in control])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=tokens[facts["bos_token_id"]],
        eos_token=tokens[facts["eos_token_id"]],
        unk_token=tokens[facts["unknown_token_id"]],
        pad_token=tokens[facts["padding_token_id"]],
        chat_template=facts.get("tokenizer.chat_template"),
    )


def _config(file: GGUF) -> Any:
    facts = {key.removeprefix("llama."): value for key, value in file.metadata.items()}
    if facts["general.architecture"] != "llama":
        raise ModelSpecError(f"This reads Llama models, and the file holds {facts['general.architecture']}.")
    return LlamaConfig(
        vocab_size=facts["vocab_size"],
        hidden_size=facts["embedding_length"],
        intermediate_size=facts["feed_forward_length"],
        num_hidden_layers=facts["block_count"],
        num_attention_heads=facts["attention.head_count"],
        num_key_value_heads=facts["attention.head_count_kv"],
        max_position_embeddings=facts["context_length"],
        rms_norm_eps=facts["attention.layer_norm_rms_epsilon"],
        rope_parameters={"rope_type": "default", "rope_theta": facts["rope.freq_base"]},
        tie_word_embeddings="output.weight" not in file.tensors,
        bos_token_id=facts["tokenizer.ggml.bos_token_id"],
        eos_token_id=facts["tokenizer.ggml.eos_token_id"],
        pad_token_id=facts["tokenizer.ggml.padding_token_id"],
    )


def _weight_name(name: str) -> str:
    ends = {
        "token_embd.weight": "model.embed_tokens.weight",
        "output_norm.weight": "model.norm.weight",
        "output.weight": "lm_head.weight",
    }
    if name in ends:
        return ends[name]
    _, block, part, kind = name.split(".")
    return f"model.layers.{block}.{WEIGHTS[part]}.{kind}"


def _half_rotated(weights: np.ndarray[Any, Any], heads: int) -> np.ndarray[Any, Any]:
    """llama.cpp rotates neighbouring pairs of a head's rows, transformers its first half with its second."""
    pairs = weights.shape[0] // heads // 2
    moved = weights.reshape(heads, pairs, 2, -1).swapaxes(1, 2)
    return np.ascontiguousarray(moved).reshape(weights.shape)


class _Tensor:
    """One tensor's place in the file."""

    def __init__(self, blob: Any, start: int, shape: tuple[int, ...], kind: int) -> None:
        self._shape = shape
        self._kind = gguf.GGMLQuantizationType(kind)
        values, size = gguf.GGML_QUANT_SIZES[self._kind]
        count = int(np.prod(shape)) // values * size
        self._bytes = blob[start : start + count]

    def __call__(self) -> np.ndarray[Any, Any]:
        rows = self._bytes.reshape(*self._shape[:-1], -1)
        if self._kind == gguf.GGMLQuantizationType.F32:
            rows = rows.view(np.float32)  # what gguf.dequantize expects for this type
        weights: np.ndarray[Any, Any] = gguf.dequantize(rows, self._kind)
        return np.array(weights, dtype=np.float32).reshape(self._shape)


class _Cursor:
    """Reads values one after the other."""

    def __init__(self, path: Path) -> None:
        self._data = path.read_bytes()
        self.place = 0

    def unpack(self, form: str) -> tuple[Any, ...]:
        values = struct.unpack_from("<" + form, self._data, self.place)
        self.place += struct.calcsize("<" + form)
        return values

    def string(self) -> str:
        (size,) = self.unpack("Q")
        self.place += size
        return self._data[self.place - size : self.place].decode()

    def value(self, kind: int) -> Any:
        if kind == STRING:
            return self.string()
        if kind != ARRAY:
            return self.unpack(PLAIN[kind])[0]
        element, count = self.unpack("IQ")
        if element in PLAIN:
            return list(self.unpack(f"{count}{PLAIN[element]}"))
        return [self.value(element) for _ in range(count)]

    def tensor(self) -> tuple[str, tuple[int, ...], int, int]:
        """Name, shape (the file states it reversed), type and place in the data."""
        name = self.string()
        (dimensions,) = self.unpack("I")
        shape = self.unpack(f"{dimensions}Q")
        kind, offset = self.unpack("IQ")
        return name, tuple(reversed(shape)), kind, offset
