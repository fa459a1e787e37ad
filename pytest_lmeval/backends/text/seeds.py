"""Seeds of sampled answers: a text's own, so that what it draws does not depend on its neighbours."""

from __future__ import annotations

import hashlib

from pytest_lmeval.backends.text.encoding import Tokens

# Sampling without a seed is reproducible all the same: a regression test that rolls dice is no test.
DEFAULT_SEED = 1234


def seed_of(seed: int | None, prompt: Tokens | str, occurrence: int) -> int:
    """Return a number of 64 bits with sign. The ``occurrence`` counts: a repeat is not to repeat its answer."""
    text = f"{DEFAULT_SEED if seed is None else seed} {occurrence} {prompt}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big", signed=True)
