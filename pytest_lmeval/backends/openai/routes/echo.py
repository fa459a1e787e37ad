"""``/completions`` that repeat the prompt with its log-probabilities (``echo``), as OpenAI's once did.

A prompt is sent as token ids where the server takes them, else as a text that the tokenizer encodes to the same tokens.
Rows are counted, never found by ``text_offset``: servers differ in what that is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from pytest_lmeval.backends.openai.connection import CallFailed, Connection
from pytest_lmeval.backends.openai.grouping import Group, whole
from pytest_lmeval.backends.openai.routes.asking import Scores, filled, read
from pytest_lmeval.backends.openai.rows import Malformed, choices, logprob, scored, token_number
from pytest_lmeval.backends.text.encoding import Span, Tokens
from pytest_lmeval.backends.text.scores import Row, Score


class Texts(Protocol):
    """From tokens to text."""

    def text(self, tokens: Tokens) -> str | None:
        """Return the text whose tokens these are for the server; None where there is none."""

    def shown(self, token: int) -> str:
        """Return one token's text."""


class EchoRoute:
    """Scores each span by a prompt of its own. ``ids``: prompts are sent as token ids. ``prompts``: to a call."""

    # The last target is in the prompt, and one token is written after it.
    beyond = 2

    def __init__(self, connection: Connection, model: str, texts: Texts, *, ids: bool, prompts: int) -> None:
        self.prompts = prompts
        self._connection = connection
        self._model = model
        self._texts = texts
        self._ids = ids

    async def score(self, groups: Sequence[Group]) -> Scores:
        """Return the scores of all spans, or why one has none. Raises CallFailed where that holds for all."""
        done: Scores = {}
        prompts: dict[Span, list[int] | str] = {}
        for span in (span for group in groups for span in group.spans):
            prompt = list(whole(span)) if self._ids else self._texts.text(whole(span))
            if prompt is None:
                done[span] = CallFailed(_NO_TEXT)
            else:
                prompts[span] = prompt
        for part in filled(list(prompts), self.prompts, lambda span: len(span.inputs), lambda _: True):
            done |= await self._calls(part, [prompts[span] for span in part])
        return done

    async def _calls(self, spans: Sequence[Span], prompts: Sequence[list[int] | str]) -> Scores:
        reply = await self._connection.post("/completions", self.body(prompts))
        _check_count(reply, sum(len(span.inputs) + 1 for span in spans))
        found = choices(reply, len(spans))
        return {span: read(partial(self.read, choice, span)) for choice, span in zip(found, spans, strict=True)}

    def body(self, prompts: Sequence[list[int] | str]) -> dict[str, Any]:
        """Return what asks for the log-probabilities of the prompts' tokens, with the most probable one's beside them.

        Some servers echo only where something is written too.
        """
        return {
            "model": self._model,
            "prompt": prompts[0] if len(prompts) == 1 else list(prompts),
            "max_tokens": 1,
            "temperature": 0,
            "echo": True,
            "logprobs": 1,
        }

    def read(self, choice: Mapping[str, Any], span: Span) -> Score:
        """Return the score in one prompt's reply. Raises Malformed where it does not have it."""
        listed = choice.get("logprobs")
        if not isinstance(listed, Mapping):
            raise Malformed("there are no logprobs")
        length = len(span.inputs) + 1
        tokens, logprobs, tops = (_column(listed, key, length) for key in ("tokens", "token_logprobs", "top_logprobs"))
        start = length - len(span.targets)
        return scored(span, {
            place: self._row(tokens[start + place], logprobs[start + place], tops[start + place], target)
            for place, target in enumerate(span.targets)
        })  # fmt: skip

    def _row(self, name: object, value: object, top: object, target: int) -> Row:
        if not self._names(name, target):
            raise Malformed(f"a log-probability is that of {name!r} where {self._texts.shown(target)!r} was asked for")
        if not isinstance(top, Mapping):
            raise Malformed("top_logprobs are missing")
        found = logprob(value)
        return Row(found, all(found >= logprob(other) for other in top.values()))

    def _names(self, name: object, target: int) -> bool:
        """Whether ``name`` may be the token's. Servers write bytes and spaces in many ways; those all may be."""
        if not isinstance(name, str):
            return False
        number = token_number(name)
        if number is not None:
            return number == target
        ours, theirs = _bare(self._texts.shown(target)), _bare(name)
        return ours == theirs or not (ours.isascii() and theirs.isascii() and ours.isalnum() and theirs.isalnum())


def _column(listed: Mapping[str, Any], key: str, length: int) -> list[Any]:
    column = listed.get(key)
    # The token that was written comes last, unless it is one that ends the text.
    if not isinstance(column, list) or len(column) not in (length, length + 1):
        raise Malformed(f"{key} are not those of {length} tokens of the prompt and one that was written")
    return column


def _check_count(reply: Mapping[str, Any], length: int) -> None:
    usage = reply.get("usage")
    found = usage.get("prompt_tokens") if isinstance(usage, Mapping) else None
    if isinstance(found, int) and found != length:
        raise Malformed(f"the server counts {found} tokens where there are {length} here; is tokenizer= right?")


def _bare(text: str) -> str:
    return text.strip(" \N{LOWER ONE EIGHTH BLOCK}\N{LATIN CAPITAL LETTER G WITH DOT ABOVE}")


_NO_TEXT = (
    "The server takes text alone, and no text has exactly the tokens of this one, so what it scored would be another. "
    "A server that takes token ids scores it."
)
