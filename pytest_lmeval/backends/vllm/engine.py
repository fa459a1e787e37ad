"""One vLLM engine: requests go in while it has room, and each result goes to the stream that asked for it."""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from vllm import LLM
from vllm.exceptions import VLLMClientError
from vllm.inputs.engine import tokens_input

from pytest_lmeval.backends.text.encoding import Tokens
from pytest_lmeval.errors import BackendError

# A waiting request costs a few kilobytes; with as many waiting as running no step has less to do than it could.
WAITING = 2


@dataclass(slots=True, eq=False)
class Inbox:
    """Results for one stream: what it called the request, and vLLM's ``RequestOutput``, or why there is none."""

    results: deque[tuple[Any, Any | str]] = field(default_factory=deque)
    held: int = 0

    def taken(self) -> Iterator[tuple[Any, Any | str]]:
        """Empty the inbox."""
        while self.results:
            yield self.results.popleft()


class Engine:
    """Runs requests of several streams together: whoever calls :meth:`advance` works for all of them."""

    def __init__(self, llm: LLM) -> None:
        self.config = llm.llm_engine.vllm_config
        self.in_process = type(llm.llm_engine.engine_core).__name__ == "InprocClient"
        self.slots: int = WAITING * self.config.scheduler_config.max_num_seqs
        self._llm: LLM | None = llm
        self._numbers = count()
        self._held: dict[str, tuple[Inbox, Any]] = {}

    @property
    def hungry(self) -> bool:
        """Whether another request would find room."""
        return len(self._held) < self.slots

    @property
    def llm(self) -> LLM:
        """The engine itself. Raises BackendError once it is closed."""
        if self._llm is None:
            raise BackendError("The vLLM engine is closed.")
        return self._llm

    def submit(self, inbox: Inbox, name: Any, tokens: Tokens, parameters: Any, lora: Any = None) -> None:
        """Hand in a request; one that vLLM refuses comes back at once, with its words."""
        number = str(next(self._numbers))
        try:
            self.llm.llm_engine.add_request(number, tokens_input(list(tokens)), parameters, lora_request=lora)
        except (VLLMClientError, ValueError) as error:
            inbox.results.append((name, f"vLLM refuses the request: {error}"))
        else:
            inbox.held += 1
            self._held[number] = (inbox, name)

    def advance(self) -> None:
        """Take one step and hand out what it finished. Without requests an engine elsewhere would be waited for."""
        if not self._held:
            return
        for output in self.llm.llm_engine.step():
            if output.finished:
                inbox, name = self._held.pop(output.request_id)
                inbox.held -= 1
                inbox.results.append((name, output))

    def abandon(self, inbox: Inbox) -> None:
        """Drop what a stream has asked for and nobody waits for any more."""
        numbers = [number for number, (owner, _) in self._held.items() if owner is inbox]
        for number in numbers:
            del self._held[number]
        if numbers and self._llm is not None:
            self._llm.llm_engine.abort_request(numbers)

    def close(self) -> None:
        """Stop the engine, its processes included."""
        llm, self._llm = self._llm, None
        if llm is not None:
            llm.llm_engine.engine_core.shutdown()
            del llm
            gc.collect()
