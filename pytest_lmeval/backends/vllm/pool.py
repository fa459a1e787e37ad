"""The engines that are open in this process, and the process as it was before the first of them."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_lmeval.backends.vllm.surroundings import Surroundings, starting

if TYPE_CHECKING:
    from pytest_lmeval.backends.vllm.engine import Engine


@dataclass(frozen=True, slots=True)
class Key:
    """What tells engines apart: all arguments but those about adapters, and these, None where none run."""

    base: str
    lora: str | None


class Engines:
    """Models that differ by their adapter alone share an engine; the last one to leave stops it."""

    def __init__(self) -> None:
        self._open: dict[Key, tuple[Engine, int]] = {}
        self._surroundings: Surroundings | None = None

    @property
    def in_process(self) -> bool:
        """Whether one of them runs in this process."""
        return any(engine.in_process for engine, _ in self._open.values())

    @contextmanager
    def starting(self) -> Iterator[None]:
        """Hold this around importing vLLM and starting an engine."""
        self._surroundings = self._surroundings or Surroundings()
        try:
            with starting(self._surroundings):
                yield
        finally:
            self._leave()

    def find(self, key: Key) -> Key | None:
        """Find the open engine for ``key``: a model alone also runs where adapters of it may."""
        fitting = (other for other in self._open if other == key or (key.lora is None and other.base == key.base))
        return next(fitting, None)

    def get(self, key: Key) -> Engine | None:
        """Return the open engine called ``key``, with one more user, None where there is none."""
        if key not in self._open:
            return None
        engine, users = self._open[key]
        self._open[key] = (engine, users + 1)
        return engine

    def add(self, key: Key, engine: Engine) -> None:
        """Take in an engine that has one user."""
        self._open[key] = (engine, 1)

    def release(self, key: Key) -> None:
        """Say that one user is done; the last one closes the engine."""
        engine, users = self._open.pop(key)
        if users > 1:
            self._open[key] = (engine, users - 1)
            return
        try:
            engine.close()
        finally:
            self._leave()

    def _leave(self) -> None:
        """Put everything back, where no engine is open: what several in this process share ends with the last."""
        if self._open or self._surroundings is None:
            return
        surroundings, self._surroundings = self._surroundings, None
        multiprocessing.active_children()  # a process that has ended stays in the table until it is asked for
        try:
            if distributed := sys.modules.get("vllm.distributed"):
                distributed.cleanup_dist_env_and_memory()
        finally:
            surroundings.restore()


ENGINES = Engines()
