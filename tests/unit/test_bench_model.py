from __future__ import annotations

from pathlib import Path

import pytest
import torch
import transformers

from benchmarks.scoring import model as module
from benchmarks.scoring.architectures import ARCHITECTURES
from benchmarks.scoring.model import invent, prepare
from benchmarks.scoring.skeleton import read, shapes_of
from pytest_lmeval.backends.hf import HFOptions
from pytest_lmeval.backends.spec import ModelSpec
from pytest_lmeval.errors import ModelSpecError, SettingsError

TINY = {
    "model_type": "llama",
    "vocab_size": 600,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "tie_word_embeddings": False,
}


def test_a_folder_is_used_as_it_is(shared_dir: Path, tmp_path: Path) -> None:
    folder = shared_dir / "models" / "stories260K"
    model = prepare(ModelSpec.parse(f"hf:{folder},max_length=99"), tmp_path)
    assert (model.label, model.location, model.options) == ("stories260K", str(folder), HFOptions(max_length=99))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("text", "reason"), [("fake", "expected demo or hf"), ("hf:x,device_map=auto", "device_map")])
def test_what_cannot_be_measured_is_refused(text: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=reason):
        prepare(ModelSpec.parse(text), tmp_path)


def test_what_only_we_read_is_saved_once_as_it_is_loaded(shared_dir: Path, tmp_path: Path) -> None:
    folder = shared_dir / "models" / "stories260K"
    original = transformers.AutoModelForCausalLM.from_pretrained(folder)
    options = HFOptions(dtype="bfloat16", max_length=99)
    model = module._saved("small.gguf", str(folder), options, tmp_path)
    assert (model.label, model.options) == ("small.gguf", HFOptions(max_length=99))
    saved = transformers.AutoModelForCausalLM.from_pretrained(model.location)
    assert saved.dtype == torch.bfloat16
    weights = original.get_input_embeddings().weight.to(torch.bfloat16)
    assert torch.equal(saved.get_input_embeddings().weight, weights)
    assert module._saved("small.gguf", str(folder), options, tmp_path).location == model.location
    other = module._saved("small.gguf", str(folder), HFOptions(), tmp_path)
    assert other.location != model.location


def test_a_tokenizer_that_is_not_what_was_saved_is_refused(shared_dir: Path, tmp_path: Path) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(shared_dir / "models" / "stories260K")

    class Forgetful:
        def save_pretrained(self, folder: Path) -> None:
            tokenizer.save_pretrained(folder)

        def get_vocab(self) -> dict[str, int]:
            return {}

    with pytest.raises(ModelSpecError, match="other tokens"):
        module._write(tmp_path / "m", Forgetful(), Forgetful())
    assert not (tmp_path / "m").exists()


def test_random_weights_are_saved_once(shared_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = shared_dir / "models" / "stories260K"
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    monkeypatch.setattr(module, "ARCHITECTURES", {"tiny": TINY})
    monkeypatch.setattr(module, "_demo_tokenizer", lambda: tokenizer)
    model = invent("tiny,max_length=64", tmp_path)
    assert (model.label, model.options) == ("tiny, random weights", HFOptions(max_length=64))
    skeleton = read(model)
    assert skeleton.dtype == "bfloat16"
    assert (skeleton.shapes.output, len(skeleton.shapes.layers)) == (600 * 16, 14)
    assert skeleton.encoder.prompts(["Once"]) == {"Once": tokenizer("Once")["input_ids"]}
    weights = Path(model.location) / "model.safetensors"
    written = weights.stat().st_mtime_ns
    assert invent("tiny", tmp_path).location == model.location
    assert weights.stat().st_mtime_ns == written
    assert [path.name for path in tmp_path.iterdir()] == ["random-tiny-bfloat16"]


def test_unknown_architectures_are_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="Did you mean 'llama-8b'"):
        invent("lama-8b", tmp_path)


@pytest.mark.parametrize(
    ("name", "parameters", "output"),
    [("llama-1b", 1_235_814_400, 128_256 * 2048), ("llama-8b", 8_030_261_248, 128_256 * 4096)],
)
def test_published_shapes_have_the_published_number_of_parameters(name: str, parameters: int, output: int) -> None:
    settings = dict(ARCHITECTURES[name])
    config = transformers.AutoConfig.for_model(settings.pop("model_type"), **settings)
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    shapes = shapes_of(model)
    assert (shapes.parameters, shapes.output) == (parameters, output)
    vectors = sum(p.numel() for p in model.parameters() if p.dim() == 1)
    tables = 1 if settings["tie_word_embeddings"] else 2
    assert shapes.decoder == parameters - tables * output - vectors
