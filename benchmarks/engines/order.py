"""What the measuring process asks of a child that stays, and what it gets back: a line of JSON each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.scoring.job import read_request
from pytest_lmeval.backends.protocol import Request

OURS, PEER_ENGINE, PEER_CLIENT = "ours", "lm-eval's vllm", "lm-eval's local-completions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """Which engine a child opens. ``model`` is for ours what ``--lm-model`` takes, for lm-eval a name or a folder.

    ``arguments`` are those of lm-eval's class. ``server`` is the address of the server that does the computing, None
    where the child does.
    """

    engine: str
    model: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    server: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Answer ``requests``, which belong to tasks of so many requests each, in this order.

    ``peer`` are settings of lm-eval's client for this time: ``num_concurrent`` and ``batch_size``.
    """

    operation: str
    requests: Sequence[Request]
    tasks: Sequence[int]
    peer: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One timed operation: ``seconds`` of the clock, ``cpu`` of this process, ``answers`` as they are compared.

    ``peak`` is the most memory that the process had meanwhile, in bytes. ``sent`` are the prompt tokens that reached
    the engine, ``computed`` those that it computed rather than read from its cache, and those it generated; None where
    the engine does not say.
    """

    seconds: float
    cpu: float
    answers: list[Any] = field(default_factory=list)
    peak: int | None = None
    sent: int | None = None
    computed: int | None = None

    @property
    def figures(self) -> dict[str, Any]:
        """All but the answers: what is kept."""
        return {key: value for key, value in asdict(self).items() if key != "answers"}


def write(item: Opening | Order | Measured) -> str:
    """Return ``item`` as a line."""
    return json.dumps(asdict(item)) + "\n"


def read_opening(line: str) -> Opening:
    """Read what :func:`write` wrote."""
    return Opening(**json.loads(line))


def read_order(line: str) -> Order:
    """Read what :func:`write` wrote."""
    data = json.loads(line)
    data["requests"] = [read_request(data["operation"], values) for values in data["requests"]]
    return Order(**data)


def read_measured(line: str) -> Measured:
    """Read what :func:`write` wrote."""
    return Measured(**json.loads(line))
