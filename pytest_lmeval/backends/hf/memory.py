"""How much fits the device: an estimate from the model's configuration and the free memory, corrected by measuring.

A batch need not be larger than what keeps the device busy, and must not be larger than its memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

# Of the free memory, what a batch may take. The rest is for what is not counted here and for other programs.
SHARE = 0.5

# Tokens, and logits, that are tried however small the memory is.
LEAST_TOKENS = 64
LEAST_LOGITS = 2**20

# Bytes for each logit while it is reduced: the model's, in float32, and its log-softmax.
LOGIT_BYTES = 12

# Packs that are measured before their size is settled.
MEASURED = 3


@dataclass(frozen=True, slots=True)
class Footprint:
    """Bytes that the model takes besides its weights.

    ``token`` is what one layer makes of one token, its attention mask included: the next layer reuses the memory.
    ``kept`` are one token's keys and values in all layers. ``path`` are those of the longest text.
    """

    token: int
    kept: int
    path: int

    @classmethod
    def of(cls, config: Any, itemsize: int, max_length: int) -> Footprint:
        """Estimate from a transformers configuration; what it does not say is as in GPT-2 medium."""
        hidden, layers = _size(config, "hidden_size", 1024), _size(config, "num_hidden_layers", 24)
        heads = _size(config, "num_attention_heads", 1)
        width = _size(config, "head_dim", hidden // heads)
        key_heads = _size(config, "num_key_value_heads", heads)
        inner = _size(config, "intermediate_size", _size(config, "n_inner", 4 * hidden))
        # The residual, its norm and the norm in float32; then two projections, their activation and product, or
        # queries, keys and values before and after rotation, and what is attended to.
        stream = 2 * hidden * itemsize + 4 * hidden
        layer = max(4 * inner, 3 * heads * width + 4 * key_heads * width) * itemsize
        mask = max_length * (itemsize + 1)
        kept = 2 * layers * key_heads * width * itemsize
        return cls(token=stream + layer + mask, kept=kept, path=kept * max_length)


def _size(config: Any, name: str, default: int) -> int:
    """A number of the configuration; of one that each layer has for itself the largest."""
    value = getattr(config, name, None) or default
    return max(value) if isinstance(value, list | tuple) else int(value)


@dataclass(frozen=True, slots=True)
class Memory:
    """``free`` bytes of a device, None where it does not say, and what one model makes of them."""

    free: int | None
    footprint: Footprint

    @classmethod
    def of(cls, model: Any, max_length: int) -> Memory:
        """Look at a loaded model's device."""
        config = getattr(model.config, "text_config", None) or model.config
        return cls(free_bytes(model.device), Footprint.of(config, model.dtype.itemsize, max_length))

    @property
    def usable(self) -> float:
        """Bytes that a batch may take, keys and values of the longest path apart."""
        return float("inf") if self.free is None else SHARE * self.free - self.footprint.path

    def packed(self, busy: int) -> int:
        """Tokens of a pack without padding; ``busy`` tokens are enough."""
        return _fitting(self.usable, self.footprint.token, busy, LEAST_TOKENS)

    def padded(self, busy: int) -> int:
        """Tokens of a padded batch that keeps nothing."""
        return _fitting(self.usable + self.footprint.path, self.footprint.token, busy, LEAST_TOKENS)

    def written(self, busy: int) -> int:
        """Tokens of a batch that keeps the keys and values of each of its tokens."""
        return _fitting(self.usable + self.footprint.path, self.footprint.kept, busy, LEAST_TOKENS)

    def logits(self, busy: int) -> int:
        """Logits at a time: rows x vocabulary."""
        return _fitting(self.usable + self.footprint.path, LOGIT_BYTES, busy, LEAST_LOGITS)


def _fitting(usable: float, each: float, busy: int, least: int) -> int:
    return max(min(least, busy), int(min(busy, usable // max(1, each))))


class Meter:
    """Measures what the first packs take, where the device tells: that is CUDA."""

    def __init__(self, device: torch.device, memory: Memory, busy: int) -> None:
        self._device = device
        self._memory = memory
        self._busy = busy
        self._left = MEASURED if device.type == "cuda" else 0
        self._each = 0.0

    @property
    def active(self) -> bool:
        """Whether packs are still to be measured."""
        return self._left > 0

    @contextmanager
    def measured(self, tokens: int, limit: int) -> Iterator[None]:
        """Measure a pack of ``tokens`` tokens; one much smaller than its ``limit`` says little."""
        if tokens < limit // 2:
            yield
            return
        torch.cuda.reset_peak_memory_stats(self._device)
        before = torch.cuda.memory_allocated(self._device)
        yield
        self.learn(torch.cuda.max_memory_allocated(self._device) - before, tokens)

    def learn(self, taken: int, tokens: int) -> None:
        """Take in that a pack of ``tokens`` tokens took so many bytes; the most expensive one counts."""
        self._left = max(0, self._left - 1)
        self._each = max(self._each, taken / tokens)

    @property
    def tokens(self) -> int | None:
        """Tokens of a pack by what was measured, None before."""
        return _fitting(self._memory.usable, self._each, self._busy, LEAST_TOKENS) if self._each else None


def free_bytes(device: torch.device) -> int | None:
    """Bytes that are free on ``device``, None where that is not known."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    if device.type == "mps":
        return int(torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    return free_host_memory() if device.type == "cpu" else None


def free_host_memory(root: Path = Path("/")) -> int | None:
    """Bytes this process may still take: what the machine has, or what its control groups leave.

    Sources: proc_meminfo(5), and the kernel's documents on control groups, versions 1 and 2.
    """
    found = [_available(root / "proc" / "meminfo"), *(_left_in(group) for group in _groups(root))]
    return min((size for size in found if size is not None), default=None)


def _available(meminfo: Path) -> int | None:
    kibibytes = _fields(meminfo, "MemAvailable:")
    return None if kibibytes is None else kibibytes * 1024


def _groups(root: Path) -> Iterator[Path]:
    """Yield the folders of the groups this process is in, and of those around them: each one's limit holds."""
    for line in _lines(root / "proc" / "self" / "cgroup"):
        number, controllers, path = line.split(":", 2)
        if number == "0":
            mount = root / "sys" / "fs" / "cgroup"
        elif "memory" in controllers.split(","):
            mount = root / "sys" / "fs" / "cgroup" / "memory"
        else:
            continue
        # In a container the path may be that outside of it; then only the mount itself is there.
        group = mount / path.strip("/")
        yield from (folder for folder in (group, *group.parents) if folder.is_relative_to(mount))


def _left_in(group: Path) -> int | None:
    """Return what a group leaves, None where it has no limit. Files that can be read again do not count as used."""
    for limit, usage, cache in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        most, used = _number(group / limit), _number(group / usage)
        if most is not None and used is not None:
            return max(0, most - used + (_fields(group / "memory.stat", cache) or 0))
    return None


def _fields(file: Path, name: str) -> int | None:
    return next((int(line.split()[1]) for line in _lines(file) if line.split()[:1] == [name]), None)


def _number(file: Path) -> int | None:
    text = next(iter(_lines(file)), "")
    return int(text) if text.isdigit() else None


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except OSError:
        return []
