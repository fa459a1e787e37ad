"""Real engines and real servers; without vLLM nothing here is collected. `make test-engines` brings it."""

from __future__ import annotations

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("vllm") else ["test_*.py"]
