"""Real servers of language models, each in a group of processes of its own and on a port that is free."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

# Half a minute is usual, on a busy machine several times that.
START_LIMIT_S = 300
STOP_LIMIT_S = 30

_LOG_LINES = 60

# With more threads than free cores they wait for each other by spinning. Bound to a core, engines that run at the same
# time would share that one.
_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "TORCHDYNAMO_DISABLE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "HF_HUB_OFFLINE": "1",
    "PYTHONUNBUFFERED": "1",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server that answers. ``base_url`` ends with ``/v1``; ``model`` is what requests call the model."""

    base_url: str
    model: str
    log: Path


@contextmanager
def vllm(model: Path, log: Path, *arguments: str, max_length: int) -> Iterator[Server]:
    """Run vLLM's server with ``model``, in float32 and with every route that scores.

    The command ``vllm serve`` needs a distribution of that name, which the builds for CPUs are not.
    """
    port = _free_port()
    command = [
        *(sys.executable, "-m", "vllm.entrypoints.openai.api_server"),
        *("--host", "127.0.0.1", "--port", str(port)),
        *("--model", str(model), "--served-model-name", model.name),
        # vLLM counts the token that is only predicted.
        *("--dtype", "float32", "--max-model-len", str(max_length + 1)),
        *("--enforce-eager", "--block-size", "32", "--kv-cache-memory-bytes", str(512 * 2**20)),
        *("--enable-scale-out", "--enable-prompt-tokens-details"),
        *arguments,
    ]
    environment = {"VLLM_ALLOW_LONG_MAX_MODEL_LEN": "1"}
    with running(command, log, environment, lambda: _healthy(f"http://127.0.0.1:{port}")):
        yield Server(base_url=f"http://127.0.0.1:{port}/v1", model=model.name, log=log)


@contextmanager
def transformers_serve(model: Path, log: Path) -> Iterator[Server]:
    """Run the server of transformers: it generates, and ignores ``logprobs`` and ``echo`` without a word."""
    # It lists the models of its cache, and fails where there is none.
    cache = log.parent / "hub"
    cache.mkdir(exist_ok=True)
    serve = str(Path(sys.executable).parent / "transformers")
    command = [serve, "serve", str(model), "--host", "127.0.0.1", "--port", "0", "--device", "cpu"]
    with running(command, log, {"HF_HUB_CACHE": str(cache)}, lambda: announced(log) is not None):
        yield Server(base_url=f"{announced(log)}/v1", model=str(model), log=log)


@contextmanager
def running(
    command: Sequence[str], log: Path, environment: Mapping[str, str], ready: Callable[[], bool]
) -> Iterator[None]:
    """Start a server, wait until it is ``ready``, and stop it with all its processes."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*_dying_with_us(), *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**_inherited(), **_ENVIRONMENT, **environment},
            start_new_session=True,
        )
    try:
        _wait(process, log, ready)
        yield
    finally:
        _stop(process)


def _inherited() -> dict[str, str]:
    """The environment, without the settings of an engine that may run in this process."""
    return {key: value for key, value in os.environ.items() if not key.startswith("VLLM_")}


def _dying_with_us() -> Sequence[str]:
    """Where the system can do so, let the server end with the process that started it, however that ends."""
    setpriv = shutil.which("setpriv")
    return (setpriv, "--pdeathsig", "TERM") if setpriv and sys.platform == "linux" else ()


def _wait(process: subprocess.Popen[bytes], log: Path, ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while not ready():
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with status {process.returncode}:\n{_tail(log)}")
        if time.monotonic() > deadline:
            raise RuntimeError(f"the server did not answer within {START_LIMIT_S} s:\n{_tail(log)}")
        time.sleep(0.2)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_LIMIT_S)
    finally:
        # Those that it started are in its group, which bears its number; usually none is left.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=10) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def announced(log: Path) -> str | None:
    """The address that uvicorn says it listens at."""
    found = re.search(r"Uvicorn running on (http://[\d.:]+)", log.read_text(errors="replace"))
    return found[1] if found else None


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-_LOG_LINES:])
