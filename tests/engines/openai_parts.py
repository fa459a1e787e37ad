"""Short ways to open a model that a real server has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pytest_lmeval.backends.openai import OpenAIOptions, plugin
from pytest_lmeval.backends.protocol import Backend
from tests.engines.servers import Server


@contextmanager
def served(server: Server, **options: Any) -> Iterator[Backend]:
    """Open the server's model, and close it."""
    backend = plugin.open(server.model, OpenAIOptions(base_url=server.base_url, **options))
    try:
        yield backend
    finally:
        backend.close()
