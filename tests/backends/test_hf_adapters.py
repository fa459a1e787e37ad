"""LoRA adapters on a small model, beside PEFT's own and lm-eval's way to load them."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_lmeval.backends.hf import HFOptions, adapters, plugin
from pytest_lmeval.backends.protocol import Backend, GenerationSettings, LoglikelihoodAnswer
from pytest_lmeval.errors import ModelSpecError

from .asking import ask_oracle, score, scores, texts

peft = pytest.importorskip("peft", reason="peft is not installed")

PAIRS = [("Once upon a time", " there was"), ("", "Hello"), ("Tom saw a big dog in the park.", " It ran")]
Save = Callable[..., Path]


@pytest.fixture(scope="module")
def base(shared_dir: Path) -> Path:
    return shared_dir / "models" / "stories260K"


def _adapted(model: Any, targets: list[str], **settings: Any) -> Any:
    """``model`` with a random LoRA adapter that changes what it says."""
    import torch

    torch.manual_seed(0)
    adapted = peft.get_peft_model(
        model, peft.LoraConfig(r=4, target_modules=targets, task_type="CAUSAL_LM", **settings)
    )
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:  # zero in a new adapter, which then changes nothing
            torch.nn.init.normal_(parameter, std=0.1)
    return adapted.eval()


@pytest.fixture(scope="module")
def model(base: Path) -> Callable[[], Any]:
    import transformers

    return lambda: transformers.AutoModelForCausalLM.from_pretrained(base, dtype="float32")


@pytest.fixture(scope="module")
def folder(model: Callable[[], Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter that names its base model."""
    path = tmp_path_factory.mktemp("lora")
    _adapted(model(), ["q_proj", "v_proj", "down_proj"]).save_pretrained(path)
    return path


def _open(name: Path, **options: Any) -> Backend:
    return plugin.open(str(name), HFOptions(dtype="float32", device="cpu", **options))


def _logprobs(backend: Backend) -> list[float]:
    answers = scores(backend, PAIRS)
    return [answer.logprob for answer in answers if isinstance(answer, LoglikelihoodAnswer)]


@pytest.fixture(scope="module")
def adapted(base: Path, folder: Path) -> Backend:
    return _open(base, peft=str(folder))


def test_equals_the_merged_weights(
    adapted: Backend, base: Path, model: Callable[[], Any], folder: Path, tmp_path: Path
) -> None:
    merged = peft.PeftModel.from_pretrained(model(), folder).merge_and_unload()
    merged.save_pretrained(tmp_path)
    expected = _logprobs(_open(tmp_path, tokenizer=str(base)))
    assert _logprobs(adapted) == pytest.approx(expected, abs=1e-4)
    assert _logprobs(adapted) != pytest.approx(_logprobs(_open(base)), abs=0.1)


def test_equals_the_oracle(adapted: Backend, folder: Path, oracle: Callable[..., Any]) -> None:
    lm = oracle("stories260K", peft=str(folder))
    for pair, found in zip(PAIRS, _logprobs(adapted), strict=True):
        assert found == pytest.approx(ask_oracle(lm, "loglikelihood", *pair)[0], abs=1e-4)
    asked = [(context, GenerationSettings(max_tokens=12)) for context, _ in PAIRS if context]
    for (context, _), text in zip(asked, texts(adapted, asked), strict=True):
        assert text == ask_oracle(lm, "generate_until", context, {"until": [], "max_gen_toks": 12})


def test_it_says_what_it_is(adapted: Backend, base: Path, folder: Path) -> None:
    info = adapted.info
    assert info.name == f"{base}+{folder}"
    assert info.details["architecture"] == "LlamaForCausalLM"
    assert info.details["peft"] == str(folder)
    assert info.details["peft_base"] == str(base)
    weights = (folder / "adapter_model.safetensors").read_bytes()
    assert info.details["peft_sha256"] == hashlib.sha256(weights).hexdigest()
    assert "peft" not in _open(base).info.details


def test_an_adapter_is_a_model(adapted: Backend, base: Path, folder: Path) -> None:
    alone = _open(folder)  # neither a model nor a tokenizer in there
    assert _logprobs(alone) == _logprobs(adapted)
    assert alone.info.name == str(folder)
    assert alone.info.details["peft_base"] == str(base)


def test_an_adapter_in_a_models_folder(adapted: Backend, base: Path, folder: Path, tmp_path: Path) -> None:
    for part in (base, folder):
        shutil.copytree(part, tmp_path, dirs_exist_ok=True, copy_function=shutil.copyfile)
    whole = _open(tmp_path)
    assert _logprobs(whole) == _logprobs(adapted)
    assert whole.info.details["peft_sha256"] == adapted.info.details["peft_sha256"]


def test_an_adapter_with_tokens_of_its_own(base: Path, model: Callable[[], Any], tmp_path: Path) -> None:
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(base)
    tokenizer.add_tokens(["<new>"])
    larger = model()
    larger.resize_token_embeddings(len(tokenizer))
    saved = _adapted(larger, ["q_proj"])
    saved.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    expected = _continuation(saved, tokenizer, "Tom saw", "<new> dog")
    for backend in (_open(tmp_path), _open(base, peft=str(tmp_path), tokenizer=str(tmp_path))):
        assert score(backend, "Tom saw", "<new> dog").logprob == pytest.approx(expected, abs=1e-4)
    with pytest.raises(ModelSpecError, match=r"is \[513, 64\] in the adapter and \[512, 64\] in the model"):
        _open(base, peft=str(tmp_path))  # without its tokenizer there is no room for the token


def _continuation(model: Any, tokenizer: Any, context: str, continuation: str) -> float:
    import torch

    tokens = tokenizer(context + continuation, return_tensors="pt").input_ids
    with torch.inference_mode():
        logprobs = model(input_ids=tokens).logits.log_softmax(-1)
    start = len(tokenizer(context).input_ids)
    return float(logprobs[0, start - 1 : -1].gather(1, tokens[0, start:, None]).sum())


def test_without_peft(base: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapters, "find_spec", lambda name: None)
    for name, adapter in ((folder, None), (base, str(folder))):
        with pytest.raises(ModelSpecError, match=r"needs the package peft\..* pip install peft"):
            _open(name, peft=adapter)


def test_what_is_no_adapter(base: Path, folder: Path) -> None:
    with pytest.raises(ModelSpecError, match=rf"there is no adapter_config\.json in {base}, so it is not an adapter"):
        _open(base, peft=str(base))
    with pytest.raises(ModelSpecError, match="There is no model folder at"):
        _open(base, peft="./nowhere")
    with pytest.raises(ModelSpecError, match="is an adapter already; leave out peft="):
        _open(folder, peft=str(folder))


def test_an_adapter_for_another_architecture(base: Path, tmp_path: Path) -> None:
    import transformers

    config = transformers.GPT2Config(n_embd=32, n_layer=1, n_head=2, vocab_size=512, bos_token_id=1, eos_token_id=2)
    other = transformers.AutoModelForCausalLM.from_config(config)
    _adapted(other, ["c_attn"], fan_in_fan_out=True).save_pretrained(tmp_path)
    with pytest.raises(ModelSpecError, match=r"does not fit the model in .*stories260K: Target modules .* not found"):
        _open(base, peft=str(tmp_path))


def test_a_learned_prompt_is_no_change_of_layers(base: Path, model: Callable[[], Any], tmp_path: Path) -> None:
    config = peft.PromptTuningConfig(num_virtual_tokens=4, task_type="CAUSAL_LM")
    peft.get_peft_model(model(), config).save_pretrained(tmp_path)
    with pytest.raises(ModelSpecError, match="does not support prompt learning"):
        _open(base, peft=str(tmp_path))


@pytest.mark.parametrize(
    ("change", "problem"),
    [({"num_hidden_layers": 6}, "no counterpart for model.layers.5.self_attn"), ({"hidden_size": 32}, "in the model")],
)
def test_an_adapter_for_another_size(base: Path, change: dict[str, int], problem: str, tmp_path: Path) -> None:
    import transformers

    config = transformers.AutoConfig.from_pretrained(base, **change)
    _adapted(transformers.AutoModelForCausalLM.from_config(config), ["q_proj"]).save_pretrained(tmp_path)
    with pytest.raises(ModelSpecError, match=problem):
        _open(base, peft=str(tmp_path))


@pytest.mark.parametrize(
    ("named", "problem"), [(None, "does not name its base model"), ("/no/such/model", "which is not here")]
)
def test_an_adapter_whose_base_is_not_here(folder: Path, named: str | None, problem: str, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    config = json.loads((folder / "adapter_config.json").read_text())
    (tmp_path / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": named}))
    with pytest.raises(ModelSpecError, match=rf"{problem}\. Give the base model itself: --lm-model=hf:BASE,peft="):
        _open(tmp_path)
