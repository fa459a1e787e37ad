"""Bytes as base64url text, read strictly: each text has one spelling."""

from __future__ import annotations

import base64
import re

_ALPHABET = re.compile(r"[A-Za-z0-9_-]*")


def encode(data: bytes) -> str:
    """Spell bytes without padding."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def decode(text: str) -> bytes:
    """Read what :func:`encode` wrote; ValueError for anything else."""
    # Checked here: the decoders of the standard library skip foreign characters, take "+" and "/" too, and ignore
    # what stands in the unused bits of the last character.
    if not _ALPHABET.fullmatch(text) or len(text) % 4 == 1:
        raise ValueError(f"{text[:20]!r} is not base64url")
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if len(text) % 4 and encode(data[-(len(data) % 3) :]) != text[-(len(text) % 4) :]:
        raise ValueError(f"{text[-20:]!r} is not base64url")
    return data
