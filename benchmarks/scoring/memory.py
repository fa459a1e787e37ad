"""The most memory that an operation took, in bytes."""

from __future__ import annotations

import ctypes
import gc
import re
from pathlib import Path

import torch

PROCESS = Path("/proc/self")

_FILE_PAGES = ("RssFile", "RssShmem")


class Memory:
    """Of the process on a CPU, of torch's allocator on a GPU; figures are None where the system does not tell.

    To be made right after loading. ``exact`` is false where the kernel would not forget the peak of loading: figures
    may then be too high.
    """

    def __init__(self, device: str) -> None:
        self._device = device if device.startswith("cuda") else None
        self.exact = True
        _give_back()
        self._loaded = _status("RssAnon") if self._device is None else torch.cuda.memory_allocated(self._device)
        self._files: int | None = 0

    def restart(self) -> None:
        """Forget the peak so far."""
        _give_back()
        if self._device is not None:
            torch.cuda.reset_peak_memory_stats(self._device)
            return
        try:
            (PROCESS / "clear_refs").write_text("5")
        except OSError:
            self.exact = False
        # Pages of files (libraries, mapped weights) come and go as the kernel likes: what is there now counts.
        self._files = _sum(*map(_status, _FILE_PAGES))

    @property
    def peak(self) -> int | None:
        """The most since :meth:`restart`, weights included."""
        return _status("VmHWM") if self._device is None else torch.cuda.max_memory_allocated(self._device)

    @property
    def extra(self) -> int | None:
        """The most since :meth:`restart` beyond what was there right after loading."""
        peak, before = self.peak, _sum(self._loaded, self._files)
        return None if peak is None or before is None else max(0, peak - before)


def _give_back() -> None:
    """Return freed memory to the system, which would else count as used and be used again unseen."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if PROCESS.exists():
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it
        if trim is not None:
            trim(0)


def _sum(*values: int | None) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


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
