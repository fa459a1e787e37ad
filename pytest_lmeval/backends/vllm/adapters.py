"""LoRA adapters on an engine: each is named by its content, so that no cache mistakes one for another."""

from __future__ import annotations

import hashlib
import json
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from vllm.lora.request import LoRARequest

from pytest_lmeval.backends.checkpoints.explaining import first_line
from pytest_lmeval.errors import ModelSpecError

CONFIG = "adapter_config.json"
WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin", "adapter_model.pt")

# The ranks that vLLM's kernels have (vllm/config/lora.py). Adapters up to the first share an engine.
RANKS = (16, 32, 64, 128, 256, 320, 512)

# By content, for as long as the process lives.
_NUMBERS: dict[str, int] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """An adapter's folder, the SHA-256 of its configuration and weights, its rank, and what it changes.

    ``modules`` are the last parts of the names of the layers that it changes.
    """

    folder: Path
    sha256: str
    rank: int
    modules: tuple[str, ...]

    @property
    def changes_logits(self) -> bool:
        """Whether it changes the layer that makes logits."""
        return "lm_head" in self.modules

    def request(self) -> Any:
        """Name it to vLLM, whose cached keys and values go by this name and whose weights by this number."""
        number = _NUMBERS.setdefault(self.sha256, len(_NUMBERS) + 1)
        return LoRARequest(f"{self.folder.name}-{self.sha256[:16]}", number, str(self.folder))

    @property
    def engine_rank(self) -> int:
        """The smallest rank of vLLM's that it fits in. Raises ModelSpecError."""
        fitting = [rank for rank in RANKS if rank >= self.rank]
        if not fitting:
            raise ModelSpecError(f"lora={self.folder}: its rank is {self.rank}, and vLLM takes {RANKS[-1]} at most.")
        return fitting[0]


def read_adapter(path: str) -> Adapter:
    """Read what must be known of the adapter in the folder ``path``. Raises ModelSpecError."""
    folder = Path(path).expanduser().absolute()
    weights = next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)
    if not folder.is_dir():
        raise ModelSpecError(f"lora={path}: there is no folder {folder}.")
    if not (folder / CONFIG).is_file() or weights is None:
        missing = WEIGHTS[0] if weights is None and (folder / CONFIG).is_file() else CONFIG
        raise ModelSpecError(f"lora={path}: there is no {missing} in {folder}, so it is not an adapter.")
    description = (folder / CONFIG).read_bytes()
    with weights.open("rb") as stream:
        digest = hashlib.sha256(hashlib.file_digest(stream, "sha256").digest() + description).hexdigest()
    return Adapter(folder=folder, sha256=digest, rank=_rank(path, description), modules=_modules(path, weights))


def _rank(path: str, description: bytes) -> int:
    try:
        rank = json.loads(description)["r"]
    except (ValueError, KeyError, TypeError):
        rank = None
    if not isinstance(rank, int) or rank < 1:
        raise ModelSpecError(f"lora={path}: {CONFIG} states no rank (r), so it is not a LoRA adapter.")
    return rank


def _modules(path: str, weights: Path) -> tuple[str, ...]:
    """Read the names from the weights: the configuration may have a pattern for them."""
    try:
        names = _names(weights)
    except (OSError, ValueError, SafetensorError, pickle.UnpicklingError) as error:
        raise ModelSpecError(f"lora={path}: {weights.name} cannot be read: {first_line(error)}") from None
    return tuple(sorted({name.split(".lora_")[0].rsplit(".", 1)[-1] for name in names if ".lora_" in name}))


def _names(weights: Path) -> list[str]:
    if weights.suffix == ".safetensors":
        with safe_open(weights, framework="np") as tensors:
            return list(tensors.keys())
    return list(torch.load(weights, map_location="meta", weights_only=True))
