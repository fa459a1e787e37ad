from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks.scoring import memory as module
from benchmarks.scoring.memory import Memory

MIB = 2**20
LINUX = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the kernel does not tell")


@LINUX
def test_what_was_used_and_given_back_is_the_peak() -> None:
    memory = Memory("cpu")
    torch.ones(64 * MIB // 4)  # before the start: forgotten
    memory.restart()
    before = memory.extra
    torch.ones(32 * MIB // 4)
    assert memory.extra is not None
    assert before is not None
    assert memory.extra - before == pytest.approx(32 * MIB, abs=8 * MIB)


@LINUX
def test_what_was_there_before_the_start_but_not_after_loading_counts() -> None:
    memory = Memory("cpu")
    kept = torch.ones(32 * MIB // 4)
    memory.restart()
    assert memory.extra is not None
    assert memory.extra >= 28 * MIB
    assert kept.sum() > 0


def test_without_the_kernels_word_there_are_no_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PROCESS", tmp_path / "absent")
    memory = Memory("cpu")
    memory.restart()
    assert (memory.peak, memory.extra, memory.exact) == (None, None, False)
