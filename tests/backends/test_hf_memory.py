"""How large batches may be: hand-computed models, made-up machines, and one measurement."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

GIB = 2**30

# 64 wide, 2 layers, 8 heads of 8 and 4 key heads, 172 inside.
LLAMA: dict[str, Any] = {
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "intermediate_size": 172,
}


def _footprint(config: dict[str, Any], itemsize: int, max_length: int) -> Any:
    from pytest_lmeval.backends.hf.memory import Footprint

    return Footprint.of(SimpleNamespace(**config), itemsize, max_length)


def _memory(free: int | None, token: int = 1000, kept: int = 100, path: int = 0) -> Any:
    from pytest_lmeval.backends.hf.memory import Footprint, Memory

    return Memory(free, Footprint(token=token, kept=kept, path=path))


def test_bytes_of_a_small_llama() -> None:
    found = _footprint(LLAMA, 4, 100)
    assert found.kept == 2 * 2 * 4 * 8 * 4
    assert found.path == 100 * found.kept
    # The stream of 64, four vectors of 172, and a row of the mask.
    assert found.token == (2 * 64 * 4 + 4 * 64) + 4 * 172 * 4 + 100 * 5


def test_wide_heads_and_half_precision() -> None:
    found = _footprint(LLAMA | {"head_dim": 64, "intermediate_size": 10}, 2, 100)
    assert found.kept == 2 * 2 * 4 * 64 * 2
    assert found.token == (2 * 64 * 2 + 4 * 64) + (3 * 8 * 64 + 4 * 4 * 64) * 2 + 100 * 3


@pytest.mark.parametrize("inner", [{}, {"n_inner": None}, {"n_inner": 256}])
def test_without_inner_size_it_is_four_times_the_width(inner: dict[str, Any]) -> None:
    config = {"hidden_size": 64, "num_hidden_layers": 1, "num_attention_heads": 4} | inner
    assert _footprint(config, 4, 10).token == (2 * 64 * 4 + 4 * 64) + 4 * 256 * 4 + 10 * 5


def test_of_layers_that_differ_the_largest_counts() -> None:
    config = LLAMA | {"num_key_value_heads": [2, 4], "intermediate_size": [100, 172]}
    assert _footprint(config, 4, 100) == _footprint(LLAMA, 4, 100)


def test_a_batch_takes_half_of_what_is_free() -> None:
    memory = _memory(2_000_000, token=1000, kept=100, path=200_000)
    assert memory.packed(10_000) == 800
    assert memory.padded(10_000) == 1000
    assert memory.written(20_000) == 10_000
    assert memory.logits(10**9) == 2**20  # at the least


def test_more_than_keeps_the_device_busy_is_not_taken() -> None:
    assert _memory(100 * GIB).packed(1024) == 1024
    assert _memory(100 * GIB).logits(2**27) == 2**27
    assert _memory(None).packed(1024) == 1024


def test_something_is_tried_however_small_the_memory_is() -> None:
    assert _memory(0, path=GIB).packed(1024) == 64
    assert _memory(0).packed(48) == 48


def test_measuring_corrects_the_estimate_up_to_busy() -> None:
    import torch

    from pytest_lmeval.backends.hf.memory import MEASURED, Meter

    meter = Meter(torch.device("cuda", 0), _memory(2_000_000), busy=1024)
    assert meter.active
    assert meter.tokens is None
    meter.learn(2_000_000, 1000)
    assert meter.tokens == 500
    meter.learn(500_000, 1000)
    assert meter.tokens == 500, "the most expensive pack counts"
    for _ in range(MEASURED - 2):
        meter.learn(1, 1000)
    assert not meter.active
    cheap = Meter(torch.device("cuda", 0), _memory(2_000_000), busy=1024)
    cheap.learn(1000, 1000)
    assert cheap.tokens == 1024


def test_a_cpu_is_not_measured() -> None:
    import torch

    from pytest_lmeval.backends.hf.memory import Meter

    assert not Meter(torch.device("cpu"), _memory(GIB), busy=1024).active


def _machine(root: Path, files: dict[str, str]) -> int | None:
    from pytest_lmeval.backends.hf.memory import free_host_memory

    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return free_host_memory(root)


MEMINFO = {"proc/meminfo": "MemTotal:       16777216 kB\nMemFree: 100 kB\nMemAvailable:    8388608 kB\n"}


def test_a_machine_without_proc_does_not_say(tmp_path: Path) -> None:
    assert _machine(tmp_path, {}) is None


def test_what_is_available_is_free(tmp_path: Path) -> None:
    assert _machine(tmp_path, MEMINFO | {"proc/self/cgroup": "0::/\n"}) == 8 * GIB


def test_a_group_of_version_2_limits(tmp_path: Path) -> None:
    group = "sys/fs/cgroup/jobs/one"
    files = {
        "proc/self/cgroup": "0::/jobs/one\n",
        f"{group}/memory.max": "max\n",
        f"{group}/memory.current": f"{GIB}\n",
        "sys/fs/cgroup/jobs/memory.max": f"{4 * GIB}\n",
        "sys/fs/cgroup/jobs/memory.current": f"{3 * GIB}\n",
        "sys/fs/cgroup/jobs/memory.stat": f"anon 5\ninactive_file {GIB}\n",
    }
    assert _machine(tmp_path, MEMINFO | files) == 2 * GIB


def test_a_group_of_version_1_limits(tmp_path: Path) -> None:
    group = "sys/fs/cgroup/memory"  # in a container its own group is the mount
    files = {
        "proc/self/cgroup": "9:name=systemd:/\n5:cpu,memory:/outside/path\n0::/\n",
        f"{group}/memory.limit_in_bytes": f"{2 * GIB}\n",
        f"{group}/memory.usage_in_bytes": f"{3 * GIB // 2}\n",
        f"{group}/memory.stat": f"inactive_file 7\ntotal_inactive_file {GIB // 4}\n",
    }
    assert _machine(tmp_path, MEMINFO | files) == 3 * GIB // 4


def test_the_users_figure_wins(shared_dir: Path) -> None:
    from pytest_lmeval.backends.hf import HFOptions
    from pytest_lmeval.backends.hf import plugin as hf_plugin

    options = HFOptions(dtype="float32", device="cpu", batch_tokens=3000)
    backend = hf_plugin.open(str(shared_dir / "models" / "stories260K"), options)
    assert backend._parts.limits.tokens == 3000  # type: ignore[attr-defined]


PEAK = """
import sys, torch, transformers
from pathlib import Path
from pytest_lmeval.backends.hf.memory import Footprint
from pytest_lmeval.backends.hf.model import Loaded
from pytest_lmeval.backends.hf.scoring.outputs import ways
from pytest_lmeval.backends.hf.scoring.packs import Packs
from pytest_lmeval.backends.hf.attention.path import PathMemory
from pytest_lmeval.backends.hf.scoring.schedule import Segment
from pytest_lmeval.backends.protocol import ModelInfo

dtype = getattr(torch, sys.argv[2])
sizes = dict(vocab_size=512, bos_token_id=1, eos_token_id=2, max_position_embeddings=512)
if sys.argv[1] == "llama":
    config = transformers.LlamaConfig(hidden_size=512, intermediate_size=2048, num_hidden_layers=3,
                                      num_attention_heads=8, num_key_value_heads=2, **sizes)
else:
    config = transformers.GPT2Config(n_embd=512, n_layer=3, n_head=8, **sizes)
model = transformers.AutoModelForCausalLM.from_config(config).to(dtype).eval()
loaded = Loaded(model=model, tokenizer=None, device=model.device, max_length=512, prefix_token_id=0,
                info=ModelInfo(backend="hf", name="random"))
packs, memory = Packs(loaded, ways(model, 512)[0]), PathMemory()
text = tuple(place % 500 for place in range(512))
# Not ru_maxrss: that of the process which started this one counts there.
peak = lambda: int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024
packs.run(memory, [Segment(text, 0, 64)])
before = peak()
packs.run(memory, [Segment(text, 0, 512)] * 8)
print(peak() - before, 8 * 512 * Footprint.of(config, dtype.itemsize, 512).token)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the peak is not told")
@pytest.mark.parametrize("model", ["llama", "gpt2"])
def test_the_estimate_is_within_a_factor_of_two_of_the_peak(model: str) -> None:
    command = [sys.executable, "-c", PEAK, model, "float32"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    measured, estimated = map(int, done.stdout.split())
    assert estimated / 2 < measured < estimated * 2
