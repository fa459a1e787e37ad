from __future__ import annotations

import json
import os
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.engines import servers
from tests.engines.servers import Server

# Prints an address as uvicorn does, starts a process of its own, and does not end when it is asked to.
STUBBORN = """
import signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("child", child.pid, flush=True)
print("Uvicorn running on http://127.0.0.1:1", flush=True)
child.wait()
"""


def post(server: Server, route: str, **body: Any) -> dict[str, Any]:
    request = urllib.request.Request(
        f"{server.base_url}/{route}",
        json.dumps({"model": server.model, **body}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        return dict(json.load(answer))


def test_one_server_scores(tiny_vllm_server: Server) -> None:
    answer = post(tiny_vllm_server, "completions", prompt=[[1, 2, 3]], max_tokens=1, prompt_logprobs=0)
    first, second, third = answer["choices"][0]["prompt_logprobs"]
    assert first is None
    assert [list(second), list(third)] == [["2"], ["3"]]


def test_the_other_drops_what_it_is_asked_and_says_nothing(unscoring_server: Server) -> None:
    answer = post(
        unscoring_server, "completions", prompt="The capital of France is", max_tokens=3, logprobs=1, echo=True
    )
    [choice] = answer["choices"]
    assert choice["text"] == " Paris.\n"
    assert "logprobs" not in choice


def test_a_server_that_does_not_start_shows_its_log(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "print('no such luck'); exit(3)"]
    failing = servers.running(command, tmp_path / "log", {}, bool)
    with pytest.raises(RuntimeError, match=r"ended with status 3:\nno such luck"), failing:
        pytest.fail("it is not running")


def test_none_of_its_processes_outlives_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "STOP_LIMIT_S", 0.1)
    log = tmp_path / "log"
    with servers.running([sys.executable, "-c", STUBBORN], log, {}, lambda: servers.announced(log) is not None):
        child = int(log.read_text().split()[1])
        os.kill(child, 0)
    # Killed, it may take a moment to go.
    deadline = time.monotonic() + 30
    while alive(child):
        assert time.monotonic() < deadline, "it runs on"
        time.sleep(0.01)


def alive(pid: int) -> bool:
    """Whether the process runs. One that nobody has waited for is not."""
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"
