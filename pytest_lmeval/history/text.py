"""Values as every database takes them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def storable(value: Any) -> Any:
    """No number that a database lacks, no text that PostgreSQL refuses."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return value.replace("\0", "").encode("utf-8", "replace").decode()
    if isinstance(value, Mapping):
        return {storable(str(key)): storable(part) for key, part in value.items()}
    return [storable(part) for part in value] if isinstance(value, list) else value
