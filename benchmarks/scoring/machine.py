"""Where figures come from."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from benchmarks.scoring.model import Model
from benchmarks.scoring.skeleton import Skeleton

PACKAGES = ("torch", "transformers", "tokenizers", "lm_eval")


def facts(model: Model, skeleton: Skeleton, threads: int, packages: Sequence[str] = PACKAGES) -> dict[str, str]:
    """Machine, versions, model and date, in words."""
    return {
        "machine": machine(model.options.device, threads),
        "versions": ", ".join(f"{package} {installed(package) or 'not installed'}" for package in packages),
        "model": f"{model.label}, {skeleton.shapes.parameters / 1e6:,.1f} million parameters, {skeleton.dtype}",
        "date": datetime.now(UTC).date().isoformat(),
    }


def machine(place: str, threads: int) -> str:
    """The processor with its cores and the threads used, and the GPU where the model is on one."""
    cpu = f"{processor()}, {os.cpu_count()} cores, {threads} threads"
    return f"{torch.cuda.get_device_name(place)}; {cpu}" if place.startswith("cuda") else cpu


def device(name: str) -> str:
    """What ``auto`` stands for, found without taking memory on the device: that is the children's."""
    if name != "auto":
        return name
    return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"


def processor() -> str:
    """Name the processor: the kernel's name for it, else the architecture's."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine()
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1].strip() if found else platform.machine()


def installed(package: str) -> str | None:
    """Its version, None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None
