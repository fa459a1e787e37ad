"""What answered in a run and what that took, told at its end; also across xdist's processes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from pytest_lmeval.backends.protocol import Backend, Metered, Usage


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """The fields of ModelInfo, and the usage where the backend accounts for it."""

    info: Mapping[str, Any]
    usage: Usage | None = None

    @classmethod
    def of(cls, backend: Backend) -> ModelFacts:
        """Ask an open backend."""
        return cls(asdict(backend.info), backend.usage if isinstance(backend, Metered) else None)

    def to_json(self) -> dict[str, Any]:
        """Reduce to plain values: of a version that is a kind of text, as torch's is, the text alone.

        Only those pass between xdist's processes; one that cannot send its facts is taken for a crashed one.
        """
        facts = {"info": dict(self.info), "usage": None if self.usage is None else asdict(self.usage)}
        plain: dict[str, Any] = json.loads(json.dumps(facts, default=str))
        return plain

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ModelFacts:
        """Restore from :meth:`to_json`."""
        return cls(data["info"], None if data["usage"] is None else Usage(**data["usage"]))

    def with_others(self, other: ModelFacts) -> ModelFacts:
        """Add what another process used of the same model."""
        if self.usage is None or other.usage is None:
            return ModelFacts(self.info, self.usage or other.usage)
        return ModelFacts(self.info, _sum(self.usage, other.usage))


def _sum(one: Usage, other: Usage) -> Usage:
    totals: dict[str, Any] = {}
    for field in fields(Usage):
        parts = [value for value in (getattr(one, field.name), getattr(other, field.name)) if value is not None]
        totals[field.name] = sum(parts) if parts else None
    return Usage(**totals)


def told(usage: Usage) -> str:
    """Say in one line what was used."""
    retries = f" ({usage.retries:,} of them retries)" if usage.retries else ""
    cached = f" ({usage.cached_tokens:,} from the server's cache)" if usage.cached_tokens else ""
    reasoning = f" ({usage.reasoning_tokens:,} of them reasoning)" if usage.reasoning_tokens else ""
    cost = "" if usage.cost is None else f", cost {usage.cost:,.4f}"
    return (
        f"server: {usage.calls:,} calls{retries}, {usage.prompt_tokens:,} tokens read{cached}, "
        f"{usage.completion_tokens:,} written{reasoning}{cost}"
    )
