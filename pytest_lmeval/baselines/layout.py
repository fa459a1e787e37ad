"""What writer and reader of baseline files must agree on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

FORMAT_VERSION = 2
#: Larger files are refused unread, and more items undecoded: they take a hundred times the memory of their text.
MAX_BYTES = 16_000_000
MAX_ITEMS = 1_000_000
#: Items a line, and decimal numbers a line.
ROW = 24
VALUES_PER_LINE = 12
#: The columns of the rows. Those of metrics are the word, a blank and the metric's key.
KEYS, MARGINS, CHOICES, FLAWS = "keys", "margins", "choices", "flaws"
#: Outcomes 0 or 1; and, where some items lack the score, which have it.
SCORE, SCORED = "score ", "scored "


def checksum(content: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of the content, whatever its spelling and line ends."""
    return hashlib.sha256(compact(content).encode()).hexdigest()


def compact(value: object) -> str:
    """Spell a value in one line, the same each time."""
    return json.dumps(value, sort_keys=True, allow_nan=False)
