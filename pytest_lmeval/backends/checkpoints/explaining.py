"""What transformers raises on loading, as one sentence and its remedy."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager

from safetensors import SafetensorError

from pytest_lmeval.backends.checkpoints.source import Source
from pytest_lmeval.errors import BackendError, ModelSpecError

# What transformers raises on a model that is not there, not readable or not a language model.
UNREADABLE = (
    OSError,
    ValueError,
    ImportError,
    LookupError,
    NotImplementedError,
    SafetensorError,
    struct.error,
)

# What reads weights that were quantized by these methods (transformers' names), as pip knows it.
_PACKAGES = {
    "awq": "gptqmodel",
    "bitsandbytes": "bitsandbytes",
    "compressed-tensors": "compressed-tensors",
    "gptq": "gptqmodel optimum",
    "hqq": "hqq",
    "quanto": "optimum-quanto",
    "torchao": "torchao",
}


@contextmanager
def explained(name: str, source: Source) -> Iterator[None]:
    """Turn what transformers raises into a ModelSpecError, or a BackendError where it is not the user's doing."""
    try:
        yield
    except UNREADABLE as error:
        raise ModelSpecError(_sentence(name, source, error)) from None
    except ModelSpecError:
        raise
    except Exception as error:
        raise BackendError(f"Loading {name} failed: {first_line(error)}") from error


@contextmanager
def quantization_explained(name: str, method: str | None) -> Iterator[None]:
    """Name the package that is missing where the weights are quantized by ``method``, if they are."""
    try:
        yield
    except ImportError as error:
        if method is None:
            raise
        remedy = f" Install it with: pip install {_PACKAGES[method]}" if method in _PACKAGES else ""
        raise ModelSpecError(
            f"The weights of {name} are quantized ({method}), and what reads them is missing here or too old: "
            f"{first_line(error).rstrip('.')}.{remedy}"
        ) from None


def first_line(error: BaseException, limit: int = 300) -> str:
    """Shorten an error's text to its first line: transformers' run over many."""
    lines = str(error).strip().splitlines()
    text = lines[0].strip() if lines else ""
    if not text or isinstance(error, LookupError | struct.error):  # their text alone says nothing
        text = f"{type(error).__name__} {text}".strip()
    return text if len(text) <= limit else text[:limit] + "…"


def _sentence(name: str, source: Source, error: Exception) -> str:
    if source.local:
        return f"The model in {source.location} cannot be loaded: {first_line(error)}"
    return (
        f"The model {name} cannot be loaded from the hub: {first_line(error)} "
        f"There is no folder of that name here either; a folder may be given as ./{name}."
    )
