"""A ``.gguf`` file is read once while a model is loaded from it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import RLock
from unittest.mock import patch

# What is replaced is the library's, hence the process's: one at a time.
_LOCK = RLock()


@contextmanager
def read_once() -> Iterator[None]:
    """Keep what the library ``gguf`` reads for as long as this lasts.

    transformers reads the file's header, several Python objects for each token of the vocabulary, for the tokenizer,
    for the configuration and for the weights, and maps the names of all tensors again for each module of the model.
    Nothing writes to either. Where the library is not installed, transformers says so.
    """
    try:
        import gguf
    except ImportError:
        yield
        return
    with (
        _LOCK,
        patch.object(gguf, "GGUFReader", cache(gguf.GGUFReader)),
        patch.object(gguf, "get_tensor_name_map", cache(gguf.get_tensor_name_map)),
    ):
        yield
