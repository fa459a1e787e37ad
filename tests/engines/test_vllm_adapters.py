"""LoRA adapters on a vLLM engine, which they share with their base model."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from pytest_lmeval.backends.protocol import Backend, LoglikelihoodAnswer
from pytest_lmeval.errors import ModelSpecError
from tests.backends.asking import scores
from tests.engines.opening import opened, tiny

PAIRS = [("Once upon a time there was a" + " very" * count, " little girl named Lily") for count in range(0, 60, 7)]


@pytest.fixture(scope="module")
def adapters(shared_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two adapters of the same layers, and one that changes the logits."""
    layers = {"one": ["q_proj", "v_proj"], "two": ["q_proj", "v_proj"], "head": ["q_proj", "lm_head"]}
    folder = tmp_path_factory.mktemp("adapters")
    for seed, (name, modules) in enumerate(layers.items()):
        _save(tiny(shared_dir), folder / name, modules, seed)
    return {name: folder / name for name in layers}


def _save(model: str, folder: Path, modules: list[str], seed: int) -> None:
    import peft
    import torch
    import transformers

    base = transformers.AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        config = peft.LoraConfig(r=4, lora_alpha=8, target_modules=modules, init_lora_weights=False)
        peft.get_peft_model(base, config).save_pretrained(folder)


def logprobs(backend: Backend) -> list[float]:
    answers = scores(backend, PAIRS)
    return [answer.logprob for answer in answers if isinstance(answer, LoglikelihoodAnswer)]


@pytest.fixture(scope="module")
def expected(shared_dir: Path, adapters: dict[str, Path]) -> dict[str, list[float]]:
    found = {}
    for name, key in [("base", ""), *((name, f",peft={folder}") for name, folder in adapters.items())]:
        with opened(f"hf:{tiny(shared_dir)},dtype=float32,device=cpu{key}") as backend:
            found[name] = logprobs(backend)
    return found


def test_one_engine_for_the_base_and_its_adapters(
    shared_dir: Path, adapters: dict[str, Path], expected: dict[str, list[float]]
) -> None:
    base = f"vllm:{tiny(shared_dir)},dtype=float32"
    with ExitStack() as stack:
        models: dict[str, Any] = {
            "one": stack.enter_context(opened(f"{base},lora={adapters['one']}")),
            "two": stack.enter_context(opened(f"{base},lora={adapters['two']}")),
            "base": stack.enter_context(opened(base)),
        }
        assert len({id(model._running.engine) for model in models.values()}) == 1
        for name in ("one", "two", "base", "one"):
            assert logprobs(models[name]) == pytest.approx(expected[name], abs=1e-3)
        assert models["one"].info.name == f"{tiny(shared_dir)}+{adapters['one']}"
        assert len({model.info.details.get("lora_sha256") for model in models.values()}) == 3
        # Who leaves does not take the engine away.
        models["one"].close()
        assert logprobs(models["two"]) == pytest.approx(expected["two"], abs=1e-3)


def test_an_adapter_that_changes_the_logits(
    shared_dir: Path, adapters: dict[str, Path], expected: dict[str, list[float]]
) -> None:
    with opened(f"vllm:{tiny(shared_dir)},dtype=float32,lora={adapters['head']}") as backend:
        assert logprobs(backend) == pytest.approx(expected["head"], abs=1e-3)


def test_other_weights_at_the_same_place_are_another_adapter(
    shared_dir: Path, adapters: dict[str, Path], expected: dict[str, list[float]], tmp_path: Path
) -> None:
    place = tmp_path / "checkpoint"
    text = f"vllm:{tiny(shared_dir)},dtype=float32,lora={place}"
    copytree(adapters["one"], place)
    with opened(text) as before:
        assert logprobs(before) == pytest.approx(expected["one"], abs=1e-3)
        copytree(adapters["two"], place, dirs_exist_ok=True)
        with opened(text) as after:
            assert logprobs(after) == pytest.approx(expected["two"], abs=1e-3)


def test_what_is_not_an_adapter(tmp_path: Path, shared_dir: Path) -> None:
    from pytest_lmeval.backends.vllm.adapters import read_adapter

    with pytest.raises(ModelSpecError, match=r"there is no folder .*/nowhere\.$"):
        read_adapter(str(tmp_path / "nowhere"))
    with pytest.raises(ModelSpecError, match=r"there is no adapter_config.json in"):
        read_adapter(tiny(shared_dir))
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "PROMPT_TUNING"}')
    with pytest.raises(ModelSpecError, match=r"there is no adapter_model.safetensors in"):
        read_adapter(str(tmp_path))
    (tmp_path / "adapter_model.safetensors").write_bytes(b"")
    with pytest.raises(ModelSpecError, match="states no rank"):
        read_adapter(str(tmp_path))
    (tmp_path / "adapter_config.json").write_text('{"r": 8}')
    with pytest.raises(ModelSpecError, match=r"adapter_model.safetensors cannot be read"):
        read_adapter(str(tmp_path))
