"""Rotary embeddings that change with the longest text of a batch."""

from __future__ import annotations

from typing import Any


def rotary_border(config: Any) -> tuple[int, str] | None:
    """Return the length in tokens above which a text changes the embedding of all it runs with, and the kind's name.

    None where the embedding is always the same. Source: transformers' ``dynamic_rope_update``.
    """
    config = getattr(config, "text_config", None) or config
    parameters = getattr(config, "rope_parameters", None) or {}
    parts = [parameters, *(part for part in parameters.values() if isinstance(part, dict))]
    borders = [(_border(config, part), kind) for part in parts if (kind := _changing(part))]
    return min(borders, default=None)


def _changing(part: dict[str, Any]) -> str | None:
    kind = str(part.get("rope_type"))
    return kind if kind == "longrope" or "dynamic" in kind else None


def _border(config: Any, part: dict[str, Any]) -> int:
    given = part.get("original_max_position_embeddings") if part.get("rope_type") == "longrope" else None
    return int(given or config.max_position_embeddings)
