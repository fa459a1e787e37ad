"""The end of a Markdown report: what answered, how it was asked, and by which command."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from pytest_lmeval.report.escaping import code
from pytest_lmeval.report.progress import format_duration
from pytest_lmeval.runs.run import RunFacts

_ENGINES = ("vllm", "transformers", "torch")
_WIDTH = 120
_COMMAND_WIDTH = 600


def footer(facts: RunFacts) -> str:
    """Spell what is known of a run in a few lines."""
    told = [f"{name} {code(value, _WIDTH)}" for name, value in _facts(facts) if value]
    command = code(shlex.join(facts.command), _COMMAND_WIDTH)
    return "\n".join(["---", f"<sub>{' · '.join(told)}<br>{command}</sub>", ""])


def _facts(facts: RunFacts) -> Iterator[tuple[str, str]]:
    info = facts.answered.info if facts.answered is not None else {}
    yield "model", facts.model
    yield "revision", str(info.get("revision") or "")
    yield "against", facts.against or ""
    yield "engine", engine_told(facts)
    yield "device", str(_details(facts).get("device") or "")
    yield "dtype", str(info.get("dtype") or "")
    yield "seed", str(facts.options.get("seed") or "")
    yield "limit", str(facts.options.get("limit") or "")
    yield "commit", (facts.origin.commit or "")[:12]
    yield "run", facts.id
    yield "took", format_duration(facts.seconds)


def engine_told(facts: RunFacts) -> str:
    """Name the backend and its engine's version, as far as they are known."""
    known = {**facts.environment, **_details(facts)}
    version = next((f"{name} {known[name]}" for name in _ENGINES if known.get(name)), "")
    backend = str(facts.answered.info.get("backend") or "") if facts.answered is not None else ""
    return ", ".join(part for part in (backend, version) if part)


def _details(facts: RunFacts) -> dict[str, object]:
    found = facts.answered.info.get("details") if facts.answered is not None else None
    return dict(found) if isinstance(found, dict) else {}
