"""The most memory that an operation took, in bytes."""

from __future__ import annotations

import re
from pathlib import Path

import torch

PROCESS = Path("/proc/self")


class Memory:
    """Of the process on a CPU, of torch's allocator on a GPU; ``peak`` is None where the system does not tell.

    ``reset`` is false where the kernel would not forget the peak of loading: ``peak`` may then be too high.
    """

    def __init__(self, device: str) -> None:
        self._cuda = device.startswith("cuda")
        self._device = device
        self.loaded = self._now()
        self.reset = True

    def restart(self) -> None:
        """Forget the peak so far."""
        if self._cuda:
            torch.cuda.reset_peak_memory_stats(self._device)
            return
        try:
            (PROCESS / "clear_refs").write_text("5")
        except OSError:
            self.reset = False

    @property
    def peak(self) -> int | None:
        """The most since :meth:`restart`, weights included."""
        return torch.cuda.max_memory_allocated(self._device) if self._cuda else _status("VmHWM")

    def _now(self) -> int | None:
        return torch.cuda.memory_allocated(self._device) if self._cuda else _status("VmRSS")


def _status(key: str) -> int | None:
    try:
        text = (PROCESS / "status").read_text()
    except OSError:
        return None
    found = re.search(rf"^{key}:\s*(\d+) kB$", text, re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def first_to_go() -> None:
    """Let the kernel, short of memory, end this process rather than another: too large a batch is tried on purpose."""
    try:
        (PROCESS / "oom_score_adj").write_text("1000")
    except OSError:
        return  # not Linux, or not allowed: then as it is
