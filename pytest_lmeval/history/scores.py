"""A metric's value of every document, small: a bit each where answers are right or wrong."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from pytest_lmeval.baselines.format import MAX_ITEMS
from pytest_lmeval.results import ItemResult

_BITS, _FLOATS = b"b", b"f"
_SIZE = np.dtype("<u4")
_VALUE = np.dtype("<f4")


def documents_digest(items: Sequence[ItemResult]) -> str:
    """Digest which documents were asked, and how: only the same ones can be compared one by one."""
    digest = hashlib.sha256()
    for item in items:
        digest.update(f"{item.index} {item.prompt_hash} {item.target_hash}\n".encode())
    return digest.hexdigest()[:16]


def pack(items: Sequence[ItemResult], metric: str) -> bytes | None:
    """Pack the documents' values in their order, NaN for one without; None where the metric is not a mean of values."""
    values = np.array([item.scores.get(metric, np.nan) for item in items], dtype=float)
    if not np.isfinite(values).any():
        return None
    if np.isin(values, (0.0, 1.0)).all():
        kind, content = _BITS, np.packbits(values.astype(bool)).tobytes()
    else:
        kind, content = _FLOATS, values.astype(_VALUE).tobytes()
    return kind + np.array(len(values), dtype=_SIZE).tobytes() + zlib.compress(content)


def unpack(data: bytes) -> Any:
    """Give the values that :func:`pack` took, as an array of floats. Raises ValueError for anything else."""
    kind, size = data[:1], int.from_bytes(data[1:5], "little")
    if kind not in (_BITS, _FLOATS) or len(data) < 5 or size > MAX_ITEMS:
        raise ValueError("not the scores of documents")
    length = -(-size // 8) if kind == _BITS else size * _VALUE.itemsize
    content = _inflate(data[5:], length)
    if kind == _BITS:
        return np.unpackbits(np.frombuffer(content, dtype=np.uint8), count=size).astype(float)
    return np.frombuffer(content, dtype=_VALUE).astype(float)


def _inflate(data: bytes, length: int) -> bytes:
    """Decompress to exactly ``length`` bytes, whatever the data would grow to."""
    try:
        content = zlib.decompressobj().decompress(data, length + 1)
    except zlib.error as error:
        raise ValueError(f"not the scores of documents: {error}") from None
    if len(content) != length:
        raise ValueError(f"the scores of documents are not as many as they say: {length:,} bytes expected")
    return content
