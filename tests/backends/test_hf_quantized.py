"""Quantized checkpoints, as far as they can be tested without what reads them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from pytest_lmeval.backends.hf import HFOptions, plugin
from pytest_lmeval.errors import ModelSpecError

from .asking import score

# What a checkpoint says of itself, and the module and pip's names of what reads it.
SETTINGS: list[tuple[dict[str, Any], str, str]] = [
    ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "bitsandbytes", "bitsandbytes"),
    ({"quant_method": "bitsandbytes", "load_in_8bit": True}, "bitsandbytes", "bitsandbytes"),
    ({"quant_method": "gptq", "bits": 4, "group_size": 64}, "gptqmodel", "gptqmodel optimum"),
    ({"quant_method": "awq", "bits": 4, "group_size": 64}, "gptqmodel", "gptqmodel"),
    ({"quant_method": "compressed-tensors", "format": "pack-quantized"}, "compressed_tensors", "compressed-tensors"),
    ({"quant_method": "quanto", "weights": "int8"}, "optimum", "optimum-quanto"),
]


def _claim(shared_dir: Path, folder: Path, settings: dict[str, Any]) -> None:
    """Make a checkpoint in ``folder`` that says it is quantized."""
    source = shared_dir / "models" / "stories260K"
    shutil.copytree(source, folder, dirs_exist_ok=True, copy_function=shutil.copyfile)
    config = json.loads((source / "config.json").read_text())
    (folder / "config.json").unlink()
    (folder / "config.json").write_text(json.dumps(config | {"quantization_config": settings}))


@pytest.mark.parametrize(("settings", "module", "packages"), SETTINGS)
def test_a_missing_package_is_named(
    settings: dict[str, Any], module: str, packages: str, shared_dir: Path, tmp_path: Path
) -> None:
    if find_spec(module) is not None:
        pytest.skip(f"{module} is installed")
    _claim(shared_dir, tmp_path, settings)
    with pytest.raises(
        ModelSpecError, match=rf"quantized \({settings['quant_method']}\).*missing here or too old"
    ) as caught:
        plugin.open(str(tmp_path), HFOptions(device="cpu"))
    assert f"pip install {packages}" in str(caught.value)


@pytest.fixture
def method() -> Iterator[str]:
    """A method that needs no package: the weights stay as they are."""
    from transformers.quantizers import HfQuantizer, auto, register_quantization_config, register_quantizer
    from transformers.utils.quantization_config import QuantizationConfigMixin

    @register_quantization_config("as_it_is")
    class Settings(QuantizationConfigMixin):  # type: ignore[misc]  # transformers is not checked
        def __init__(self, **_: Any) -> None:
            self.quant_method = "as_it_is"

    @register_quantizer("as_it_is")
    class Quantizer(HfQuantizer):  # type: ignore[misc]
        requires_calibration = False
        is_trainable = False

        def is_serializable(self) -> bool:
            return False

        def _process_model_before_weight_loading(self, model: Any, **_: Any) -> None:
            pass

        def _process_model_after_weight_loading(self, model: Any, **_: Any) -> None:
            pass

    yield "as_it_is"
    del auto.AUTO_QUANTIZER_MAPPING["as_it_is"], auto.AUTO_QUANTIZATION_CONFIG_MAPPING["as_it_is"]


def test_quantized_weights_are_not_moved(
    method: str, shared_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import transformers

    def refuse(model: Any, *_: Any, **__: Any) -> Any:
        raise ValueError("`.to` is not supported for quantized models")

    _claim(shared_dir, tmp_path, {"quant_method": method})
    plain = plugin.open(str(shared_dir / "models" / "stories260K"), HFOptions(device="cpu"))
    monkeypatch.setattr(transformers.PreTrainedModel, "to", refuse)
    with pytest.raises(ModelSpecError, match="not supported"):
        plugin.open(str(shared_dir / "models" / "stories260K"), HFOptions(device="cpu"))
    backend = plugin.open(str(tmp_path), HFOptions(device="cpu"))
    assert backend.info.dtype == plain.info.dtype
    assert backend.info.details["quantization"] == "as_it_is"
    assert score(backend, "Tom", " ran").logprob == pytest.approx(score(plain, "Tom", " ran").logprob, abs=1e-4)
