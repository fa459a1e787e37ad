"""What the measuring process asks of a child, and what it gets back, as JSON in files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.scoring.model import Model
from pytest_lmeval.backends.hf import HFOptions
from pytest_lmeval.backends.protocol import (
    GenerationRequest,
    GenerationSettings,
    LoglikelihoodRequest,
    Request,
    RollingRequest,
)

OURS, PEER, RATE = "ours", "peer", "rate"

_KINDS: Mapping[str, type[Any]] = {
    "loglikelihood": LoglikelihoodRequest,
    "loglikelihood_rolling": RollingRequest,
    "generate_until": GenerationRequest,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Answer ``requests`` with ``engine``, once for each of the peer's ``batches``; or measure the rate of ``layers``.

    ``model.options.device`` and ``dtype`` are resolved where they matter: a child chooses nothing.
    """

    engine: str
    model: Model
    operation: str = ""
    requests: Sequence[Request] = ()
    batches: Sequence[int | str] = ()
    layers: Sequence[tuple[int, int]] = ()
    dtype: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One timed operation: ``seconds``, ``answers`` as :class:`Answered` has them, memory in bytes.

    ``cpu`` are the seconds that the process computed, all threads together: far less than ``seconds`` by the number
    of threads, and the machine was doing something else.
    ``peak`` counts what was loaded, ``extra`` does not; None where the system does not tell. ``exact`` is false where
    the peak may be that of loading. ``error`` says why there is nothing.
    """

    batch: int | str | None = None
    seconds: float = 0.0
    cpu: float = 0.0
    answers: list[Any] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    peak: int | None = None
    extra: int | None = None
    exact: bool = True
    threads: int = 0
    error: str | None = None

    @property
    def figures(self) -> dict[str, Any]:
        """All but the answers: what is kept."""
        return {key: value for key, value in asdict(self).items() if key not in ("answers", "tokens")}


def write_job(path: Path, job: Job) -> None:
    """Write ``job``."""
    path.write_text(json.dumps(asdict(job)), encoding="utf-8")


def read_job(path: Path) -> Job:
    """Read what :func:`write_job` wrote."""
    data = json.loads(path.read_text(encoding="utf-8"))
    model = data["model"]
    data["model"] = Model(**{**model, "options": HFOptions(**model["options"])})
    data["requests"] = [read_request(data["operation"], values) for values in data["requests"]]
    return Job(**data)


def read_request(operation: str, values: dict[str, Any]) -> Request:
    """Read what ``asdict`` makes of a request, JSON's lists for tuples."""
    if "settings" in values:
        settings = values["settings"]
        pairs = {"until": tuple(settings["until"]), "extra": tuple(map(tuple, settings["extra"]))}
        values = {**values, "settings": GenerationSettings(**{**settings, **pairs})}
    if "choices" in values:
        values = {**values, "choices": tuple(values["choices"])}
    request: Request = _KINDS[operation](**values)
    return request


def read_runs(path: Path) -> list[Run]:
    """Read the lines that a child wrote, as far as it came."""
    if not path.exists():
        return []
    return [Run(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
