from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_lmeval.backends.hf import HFOptions
from pytest_lmeval.backends.hf import plugin as hf_plugin
from pytest_lmeval.backends.protocol import Backend

CPU32 = HFOptions(dtype="float32", device="cpu")


@pytest.fixture(scope="session")
def stories260k(shared_dir: Path) -> Iterator[Backend]:
    backend = hf_plugin.open(str(shared_dir / "models" / "stories260K"), CPU32)
    yield backend
    backend.close()


@pytest.fixture(scope="session")
def stories15m(shared_dir: Path) -> Iterator[Backend]:
    backend = hf_plugin.open(str(shared_dir / "models" / "stories15M"), CPU32)
    yield backend
    backend.close()


@pytest.fixture(scope="session")
def oracle(shared_dir: Path) -> Callable[..., Any]:
    """lm-evaluation-harness' own runner: ``oracle(model, **arguments)``."""
    huggingface = pytest.importorskip("lm_eval.models.huggingface", reason="lm_eval is not installed")
    built: dict[str, Any] = {}

    def build(model: str, **arguments: Any) -> Any:
        key = repr((model, arguments))
        if key not in built:
            built[key] = huggingface.HFLM(
                pretrained=str(shared_dir / "models" / model),
                dtype="float32",
                device="cpu",
                batch_size=1,
                **arguments,
            )
        return built[key]

    return build
