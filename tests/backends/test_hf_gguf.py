"""A small Llama written as ``.gguf`` and read back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_lmeval.backends.hf import HFOptions, plugin
from pytest_lmeval.backends.protocol import GenerationSettings

from .asking import score, texts

HEADS, KEY_HEADS, WIDTH, INNER = 4, 2, 64, 96


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    gguf = pytest.importorskip("gguf", reason="gguf is not installed")
    path = tmp_path_factory.mktemp("gguf") / "small.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    _write_settings(writer)
    _write_tokenizer(writer)
    _write_tensors(writer, gguf)
    for write in (writer.write_header_to_file, writer.write_kv_data_to_file, writer.write_tensors_to_file):
        write()
    writer.close()
    return path


def _write_settings(writer: Any) -> None:
    writer.add_name("small")
    writer.add_block_count(1)
    writer.add_context_length(128)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KEY_HEADS)
    writer.add_rope_freq_base(10_000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(256)


def _write_tokenizer(writer: Any) -> None:
    from tokenizers.pre_tokenizers import ByteLevel

    letters = sorted(ByteLevel.alphabet())[:252]
    tokens = ["<|none|>", "<|start|>", "<|end|>", *letters, "ab"]
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([3, 3, 3] + [1] * (len(letters) + 1))
    writer.add_token_merges(["a b"])  # transformers takes none for another kind of tokenizer
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_pad_token_id(2)
    writer.add_add_bos_token(False)


def _write_tensors(writer: Any, gguf: Any) -> None:
    import numpy as np

    random = np.random.default_rng(0)
    kinds = {"Q8_0": gguf.GGMLQuantizationType.Q8_0, "Q4_1": gguf.GGMLQuantizationType.Q4_1}
    shapes = {
        "token_embd": ("Q8_0", (256, WIDTH)),
        "blk.0.attn_q": ("Q4_1", (WIDTH, WIDTH)),
        "blk.0.attn_k": ("Q4_1", (WIDTH // 2, WIDTH)),
        "blk.0.attn_v": ("F16", (WIDTH // 2, WIDTH)),
        "blk.0.attn_output": ("Q8_0", (WIDTH, WIDTH)),
        "blk.0.ffn_gate": ("Q4_1", (INNER, WIDTH)),
        "blk.0.ffn_up": ("Q8_0", (INNER, WIDTH)),
        "blk.0.ffn_down": ("Q8_0", (WIDTH, INNER)),
    }
    for name, (kind, shape) in shapes.items():
        weights = random.normal(size=shape).astype(np.float32)
        if kind == "F16":
            writer.add_tensor(f"{name}.weight", weights.astype(np.float16))
        else:
            writer.add_tensor(f"{name}.weight", gguf.quantize(weights, kinds[kind]), raw_dtype=kinds[kind])
    for name in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"):
        writer.add_tensor(f"{name}.weight", np.ones(WIDTH, dtype=np.float32))


def test_gguf_file_is_a_model(checkpoint: Path, capfd: pytest.CaptureFixture[str]) -> None:
    backend = plugin.open(str(checkpoint), HFOptions(device="cpu"))
    assert capfd.readouterr() == ("", "")
    assert (backend.info.dtype, backend.info.max_length) == ("float32", 128)
    assert score(backend, "a", "c").logprob < 0
    assert len(texts(backend, [("a", GenerationSettings(max_tokens=4))])[0]) > 0
    same = plugin.open(str(checkpoint.parent), HFOptions(device="cpu", gguf_file=checkpoint.name))
    assert score(same, "a", "c") == score(backend, "a", "c")


def test_the_file_is_read_once(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import gguf

    reads: list[Path] = []

    class Noted(gguf.GGUFReader):  # type: ignore[misc]  # gguf ships no types
        def __init__(self, path: str) -> None:
            reads.append(Path(path))
            super().__init__(path)

    monkeypatch.setattr(gguf, "GGUFReader", Noted)
    for opened in (1, 2):
        # Another load reads again: the file may have changed.
        plugin.open(str(checkpoint), HFOptions(device="cpu")).close()
        assert reads == [checkpoint] * opened
