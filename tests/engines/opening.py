"""Short ways to open backends and to make texts for them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pytest_lmeval.backends.protocol import Backend
from pytest_lmeval.backends.registry import open_backend
from pytest_lmeval.backends.spec import ModelSpec

_TEXT = (
    "once upon a time there was a little girl named Lily who loved to play in the big green park with her dog and her "
    "mom said it is time to go home now because of the rain"
)
WORDS = _TEXT.split()


@contextmanager
def opened(text: str) -> Iterator[Backend]:
    """Open the model that ``--lm-model=text`` names, and close it."""
    backend = open_backend(ModelSpec.parse(text))
    try:
        yield backend
    finally:
        backend.close()


def tiny(shared: Path) -> str:
    """Where a small model is; a smaller one has heads that vLLM's attention does not take."""
    return f"{shared}/models/stories15M"


def words(rng: random.Random, count: int) -> str:
    """Return words that the small model knows, about a token each."""
    return " ".join(rng.choice(WORDS) for _ in range(count))
