"""Who answered a run of lm-evaluation-harness, and with which packages, under the names that we have for it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pytest_lmeval.backends.protocol import ModelInfo
from pytest_lmeval.exchange.results import HarnessResults


def info_of(results: HarnessResults) -> dict[str, Any]:
    """Return the fields of ModelInfo, as far as the results tell them."""
    return asdict(
        ModelInfo(
            backend=results.backend,
            name=results.model,
            revision=results.revision,
            dtype=results.dtype,
            max_length=results.max_length,
        )
    )


def environment_of(results: HarnessResults) -> dict[str, str]:
    """Return the versions of the packages that made the numbers."""
    found = {"lm-eval": results.version, "transformers": results.transformers}
    return {name: version for name, version in found.items() if version is not None}
