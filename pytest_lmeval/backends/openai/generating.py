"""Text from a server: calls of all tests share its connections, and answers come as they are finished."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from pytest_lmeval.backends.openai.asking import Asking, Call
from pytest_lmeval.backends.openai.connection import CallFailed, Connection
from pytest_lmeval.backends.openai.manner import Manner
from pytest_lmeval.backends.openai.reasoning import separate, unfinished
from pytest_lmeval.backends.openai.replies import CHARACTERS_PER_TOKEN, Reply, read, shown
from pytest_lmeval.backends.protocol import Failure, GenerationAnswer, GenerationRequest
from pytest_lmeval.backends.text.endings import Endings
from pytest_lmeval.backends.text.prompting import Prompt
from pytest_lmeval.backends.text.stopping import find


@dataclass(frozen=True, slots=True, kw_only=True)
class Finishing:
    """What becomes of a reply.

    ``endings`` are the tokenizer's, where it is at hand. ``unfinished_empty`` makes an answer that was cut inside its
    reasoning an empty one instead of a failure.
    """

    endings: Endings | None = None
    unfinished_empty: bool = False

    def answer(self, call: Call, request: GenerationRequest, reply: Reply) -> GenerationAnswer:
        """Return the answer in a reply. Raises CallFailed where there is none."""
        _check_size(reply, request, call.manner)
        if self.endings is not None and call.prompt is not None and reply.token_ids and not call.manner.thinks:
            return self.endings.answer(call.prompt, reply.token_ids, limited=reply.cut)
        reply = separate(reply, call.manner.think_end)
        if unfinished(reply):
            return self._unfinished(request, reply, call.manner)
        if reply.reasoning and not reply.text and "stop" in call.body:
            raise CallFailed(_STOPPED)
        if reply.text is None and not reply.reasoning:
            raise CallFailed("The reply has no text, and the token limit ended it.")
        return self._trimmed(request, reply, reply.text or "")

    def too_early(self, call: Call, reply: Reply) -> bool:
        """Whether a server stopped at a stop string that is not in the answer.

        vLLM sees the answer behind its prompt, where some tokenizers write a space that an answer alone does not have.
        """
        if self.endings is None or call.prompt is None or not reply.token_ids or reply.stop is None:
            return False
        settings = call.prompt.settings
        return len(reply.token_ids) < settings.max_tokens and not self.endings.ends(settings, reply.token_ids)

    def _trimmed(self, request: GenerationRequest, reply: Reply, text: str) -> GenerationAnswer:
        """Cut at every stop string, of which the server may not have been told all."""
        settings = request.settings
        stops = [*filter(None, settings.until)] if self.endings is None else self.endings.stops(settings)
        end = find(text, stops)
        return GenerationAnswer(
            id=request.id,
            text=text[:end],
            tokens=reply.tokens,
            reasoning=reply.reasoning,
            truncated=reply.cut and end == len(text),
        )

    def _unfinished(self, request: GenerationRequest, reply: Reply, manner: Manner) -> GenerationAnswer:
        if self.unfinished_empty:
            return GenerationAnswer(
                id=request.id, text="", tokens=reply.tokens, reasoning=reply.reasoning, truncated=True
            )
        limit = manner.most(request.settings.max_tokens)
        raise CallFailed(
            f"The limit of {limit} tokens was used up by reasoning, before any answer. Give reasoning_tokens=N for the "
            "reasoning besides the answer's max_gen_toks, or less reasoning_effort; unfinished=empty takes it as an "
            "empty answer."
        )


class ServerGenerator:
    """Generates on a server."""

    def __init__(self, connection: Connection, asking: Asking, finishing: Finishing) -> None:
        self._connection = connection
        self._asking = asking
        self._finishing = finishing

    def generate(self, requests: Iterator[GenerationRequest]) -> Iterator[GenerationAnswer | Failure]:
        """Answer ``requests``, which are pulled while the server has room."""
        seen: Counter[int] = Counter()
        worded = (self._worded(request, seen) for request in requests)
        calls = ((asked, partial(self._reply, asked.call)) for asked in worded)
        for asked, reply in self._connection.run(calls):
            try:
                yield self._answer(asked, reply)
            except CallFailed as failed:
                yield Failure(id=asked.request.id, error=failed.reason, kind=failed.kind)

    def _worded(self, request: GenerationRequest, seen: Counter[int]) -> _Asked:
        try:
            return _Asked(request, self._asking.call(request, seen))
        except CallFailed as failed:
            return _Asked(request, failed)

    async def _reply(self, call: Call | CallFailed) -> Reply:
        if isinstance(call, CallFailed):
            raise call
        reply = read(await self._connection.post(call.manner.path, call.body))
        while self._finishing.too_early(call, reply):
            assert call.prompt is not None
            rest = read(await self._connection.post(call.manner.path, going_on(call, call.prompt, reply)))
            if not rest.token_ids:
                break
            reply = replace(rest, token_ids=(*(reply.token_ids or ()), *rest.token_ids))
        return reply

    def _answer(self, asked: _Asked, reply: Reply | CallFailed) -> GenerationAnswer:
        """In the thread of whoever asks: a tokenizer serves one thread at a time."""
        if isinstance(reply, CallFailed):
            raise reply
        assert isinstance(asked.call, Call)
        return self._finishing.answer(asked.call, asked.request, reply)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request and its call, or why there is none; that takes its place in the stream all the same."""

    request: GenerationRequest
    call: Call | CallFailed


def going_on(call: Call, prompt: Prompt, reply: Reply) -> dict[str, Any]:
    """Return the body of a call that writes what is still to be written after ``reply``."""
    written = reply.token_ids or ()
    length = prompt.settings.max_tokens - len(written)
    return {**call.body, "prompt": (*prompt.tokens, *written)} | call.manner.limited(length)


def _check_size(reply: Reply, request: GenerationRequest, manner: Manner) -> None:
    most = CHARACTERS_PER_TOKEN * manner.most(request.settings.max_tokens)
    size = len(reply.text or "")
    if size > most:
        raise CallFailed(
            f"The server wrote {size:,} characters where {request.settings.max_tokens} tokens were asked for; it does "
            f"not heed {manner.length}. They begin with {shown(reply.text)}."
        )


_STOPPED = (
    "A stop string ended the answer inside its reasoning. Give reasoning=true: stop strings are then looked for in the "
    "answer alone."
)
