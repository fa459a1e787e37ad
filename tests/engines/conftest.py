"""Real engines and real servers; without vLLM nothing here is collected. `make test-engines` brings it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from subprocess import run

import pytest

from tests.conftest import REPOSITORY
from tests.engines import servers
from tests.engines.servers import Server

collect_ignore_glob = [] if find_spec("vllm") else ["test_*.py"]

# Tokens that the demo model reads at once here, whatever engine it runs on. It could read 8 times as many.
MAX_LENGTH = 1024


@pytest.fixture(scope="session")
def demo_checkpoint() -> Path:
    """The demo model as a float32 checkpoint, made when first asked for."""
    folder = Path(os.environ.get("DEMO_CHECKPOINT", REPOSITORY / ".lmeval" / "demo-checkpoint"))
    made = run(
        [sys.executable, REPOSITORY / "scripts" / "demo_checkpoint.py", folder],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        pytest.fail(made.stderr, pytrace=False)
    return folder


@pytest.fixture(scope="session")
def vllm_server(demo_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A vLLM server with the demo model."""
    log = tmp_path_factory.mktemp("vllm_server") / "log"
    with servers.vllm(demo_checkpoint, log, max_length=MAX_LENGTH) as server:
        yield server


@pytest.fixture(scope="session")
def tiny_vllm_server(shared_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A vLLM server with a model that answers at once, and reads 256 tokens.

    vLLM's attention on a CPU has no kernel for the heads of a smaller model.
    """
    log = tmp_path_factory.mktemp("tiny_vllm_server") / "log"
    with servers.vllm(shared_dir / "models" / "stories15M", log, max_length=256) as server:
        yield server


@pytest.fixture(scope="session")
def unscoring_server(demo_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that generates, and drops what it is asked of log-probabilities."""
    log = tmp_path_factory.mktemp("unscoring_server") / "log"
    with servers.transformers_serve(demo_checkpoint, log) as server:
        yield server
