"""Reading and writing whole files: never half a file, never more than a baseline can be."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from pytest_lmeval.baselines.format import MAX_BYTES, loads
from pytest_lmeval.baselines.record import Baseline
from pytest_lmeval.errors import BaselineError


def read_baseline(path: Path) -> Baseline | None:
    """Read the baseline at ``path``, None where there is none. Raises BaselineError, naming the path."""
    text = read_text(path)
    if text is None:
        return None
    try:
        return loads(text)
    except BaselineError as error:
        raise BaselineError(f"{path}: {error}") from None


def read_text(path: Path) -> str | None:
    """Read a text of at most ``MAX_BYTES``, None where there is no file."""
    try:
        with path.open("rb") as file:
            # One more than allowed: enough to know, whatever the size, also of a device or a pipe.
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BaselineError(f"{path}: cannot be read: {error.strerror}") from None
    if len(data) > MAX_BYTES:
        raise BaselineError(f"{path}: larger than {MAX_BYTES:,} bytes: not a baseline of ours")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise BaselineError(f"{path}: not UTF-8 text: not a baseline of ours") from None


def write_atomically(path: Path, text: str) -> None:
    """Replace the file at ``path``: whoever reads it sees the old text or the new one, also after a crash."""
    write_bytes_atomically(path, text.encode("utf-8"))


def write_bytes_atomically(path: Path, data: bytes) -> None:
    """Replace the file at ``path``, as :func:`write_atomically` does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Opened here and not by tempfile, whose files only their owner may read.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
