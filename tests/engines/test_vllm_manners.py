"""What a vLLM engine leaves behind in the process that it ran in: nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.engines.opening import tiny

STATE = """
import gc, json, logging, os, random, signal, sys, threading
import numpy as np
import torch
import torch._dynamo.config
from pytest_lmeval.backends.protocol import LoglikelihoodRequest
from pytest_lmeval.backends.registry import open_backend
from pytest_lmeval.backends.spec import ModelSpec
from pytest_lmeval.errors import ModelSpecError

def state():
    return {
        "environment": dict(os.environ),
        "python's random": repr(random.getstate()),
        "numpy's random": repr(np.random.get_state()),
        "torch's random": torch.get_rng_state().tolist(),
        "frozen": gc.get_freeze_count(),
        "gc": (gc.get_threshold(), gc.isenabled()),
        "threads": torch.get_num_threads(),
        "set_num_threads": torch.set_num_threads.__name__,
        "excepthook": repr(sys.excepthook),
        "records": repr(logging.getLogRecordFactory()),
        "level": logging.getLogger("vllm").level,
        "handlers": repr(logging.getLogger("vllm").handlers),
        "cores": sorted(os.sched_getaffinity(0)),
        "dtype": str(torch.get_default_dtype()),
        "gradients": torch.is_grad_enabled(),
        "process group": torch.distributed.is_initialized(),
        "compiler": torch._dynamo.config.disable,
        "interrupt": repr(signal.getsignal(signal.SIGINT)),
    }

def children():
    listed = []
    for folder in os.listdir("/proc"):
        if folder.isdigit():
            try:
                fields = open(f"/proc/{folder}/stat").read().rsplit(")", 1)[1].split()
                name = open(f"/proc/{folder}/cmdline").read().replace("\\0", " ")
            except OSError:
                continue
            if int(fields[1]) == os.getpid() and "resource_tracker" not in name:
                listed.append((fields[0], name))
    return listed

def score(backend):
    request = LoglikelihoodRequest(id=0, context="Once upon", continuation=" a time")
    [answer] = backend.loglikelihood(iter([request]))
    return answer.logprob

def changed(before):
    now = state()
    return {key: (before[key], now[key]) for key in before if before[key] != now[key]}
"""

PROGRAM = (
    STATE
    + """
if __name__ == "__main__":
    [model] = sys.argv[1:]
    random.seed(1), np.random.seed(2), torch.manual_seed(3)
    before, found = state(), {}
    backend = open_backend(ModelSpec.parse(f"vllm:{model},dtype=float32"))
    names = ("python's random", "numpy's random", "torch's random", "threads", "set_num_threads", "excepthook")
    found["open"] = {key: value for key, value in changed(before).items() if key in names}
    found["preloaded"] = "LD_PRELOAD" in os.environ
    found["scores"] = [score(backend)]
    backend.close()
    found["closed"] = changed(before)
    again = open_backend(ModelSpec.parse(f"vllm:{model},dtype=float32"))
    found["scores"].append(score(again))
    again.close()
    found["again"] = changed(before)
    try:
        open_backend(ModelSpec.parse(f"vllm:{model},dtype=float32,block_size=7"))
    except ModelSpecError as error:
        found["error"] = str(error)
    found["failed"] = changed(before)
    found["children"] = children()
    print(json.dumps(found))
"""
)


def run(program: str, tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    file = tmp_path / "program.py"
    file.write_text(program)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return subprocess.run(
        [sys.executable, str(file), *arguments], capture_output=True, text=True, env=environment, timeout=300
    )


@pytest.fixture(scope="module")
def done(shared_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """Two engines, one after the other, and one that does not start."""
    return run(PROGRAM, tmp_path_factory.mktemp("manners"), tiny(shared_dir))


def test_everything_is_put_back(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert found["open"] == {}
    assert not found["preloaded"]
    assert found["closed"] == found["again"] == found["failed"] == {}
    assert found["children"] == []
    assert found["scores"][0] == found["scores"][1]
    assert "No common block size for 7" in found["error"]


def test_nothing_is_said(done: subprocess.CompletedProcess[str]) -> None:
    # One line comes from the native code, past Python.
    assert [line for line in done.stderr.splitlines() if "NUMA binding" not in line] == []
    assert len(done.stdout.splitlines()) == 1


TWO = (
    STATE
    + """
if __name__ == "__main__":
    one, two = sys.argv[1:]
    before = state()
    first = open_backend(ModelSpec.parse(f"vllm:{one},dtype=float32"))
    second = open_backend(ModelSpec.parse(f"vllm:{two},dtype=float32"))
    try:
        open_backend(ModelSpec.parse(f"vllm:{two},dtype=float32,block_size=64,in_process=true"))
    except ModelSpecError as error:
        refused = str(error)
    scores = [score(first), score(second)]
    first.close()
    scores.append(score(second))
    second.close()
    print(json.dumps({"scores": scores, "refused": refused, "changed": changed(before), "children": children()}))
"""
)


def test_two_models_at_once(shared_dir: Path, tmp_path: Path) -> None:
    done = run(TWO, tmp_path, tiny(shared_dir), f"{tiny(shared_dir)}-gsm8k-ft")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    first, second, after = found["scores"]
    assert second == after
    assert abs(first - second) > 1
    assert "another vLLM engine runs in this process already" in found["refused"]
    assert found["changed"] == {}
    assert found["children"] == []


TESTS = """
import os, signal

# A shell's background job ignores the signal, and so would what it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)

def test_scores(lm):
    assert lm.loglikelihood([("Once upon", " a time")])[0].is_greedy

def test_fails(lm):
    assert False

def test_interrupted(lm):
    lm.loglikelihood([("Once upon", " a time")])
    os.kill(os.getpid(), signal.SIGINT)
"""


def pytest_run(tmp_path: Path, *arguments: str) -> tuple[int, str, list[int]]:
    """Run pytest in a process group of its own; return its status, what it printed, and who of the group is left."""
    (tmp_path / "test_model.py").write_text(TESTS)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        output, _ = process.communicate(timeout=300)
    return process.returncode, output, left(process.pid)


def left(group: int) -> list[int]:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return []
        time.sleep(0.2)
    os.killpg(group, signal.SIGKILL)
    return [group]


@pytest.mark.parametrize("in_process", ["true", "false"])
def test_after_failures_and_an_interrupt(in_process: str, shared_dir: Path, tmp_path: Path) -> None:
    model = f"vllm:{tiny(shared_dir)},dtype=float32,in_process={in_process}"
    status, output, remaining = pytest_run(tmp_path, f"--lm-model={model}")
    assert status == pytest.ExitCode.INTERRUPTED, output
    assert "1 failed, 1 passed" in output
    assert remaining == []
    assert "vllm" not in output.split("test_model.py", 1)[1].replace(model, "").lower()


def test_verbose_lets_the_engine_speak(shared_dir: Path, tmp_path: Path) -> None:
    status, output, _ = pytest_run(tmp_path, f"--lm-model=vllm:{tiny(shared_dir)},dtype=float32", "-k", "scores", "-v")
    assert status == pytest.ExitCode.OK
    assert "Starting to load model" in output
