"""vLLM's ``/completions`` with prompts in token ids and many prompts to a call.

It reads the prefix cache for tokens that follow a prompt, which can be asked for by id, but not for log-probabilities
of the prompt itself. So a few targets after a long context are asked for one by one, and others with the whole prompt.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from pytest_lmeval.backends.openai.connection import CallFailed, Connection
from pytest_lmeval.backends.openai.grouping import Group, whole
from pytest_lmeval.backends.openai.routes.asking import MOST_IDS, Scores, filled, read
from pytest_lmeval.backends.openai.rows import after_named, choices, scored, within
from pytest_lmeval.backends.text.encoding import Span, Tokens
from pytest_lmeval.backends.text.scores import Row, Score

# Tokens that a target costs by itself: half a block of the cache, and what a prompt costs besides.
ROW_COST = 32


@dataclass(frozen=True, slots=True)
class Next:
    """A prompt, and the tokens after it whose rows are wanted."""

    tokens: Tokens
    wanted: frozenset[int]


class PromptRoute:
    """Scores several groups together. ``by_id``: log-probabilities can be had of tokens that are named."""

    def __init__(self, connection: Connection, model: str, *, by_id: bool, prompts: int) -> None:
        self.prompts = prompts
        self._connection = connection
        self._model = model
        self._by_id = by_id
        # One token is written, after the last target where that is in the prompt.
        self.beyond = 1 if by_id else 2

    async def score(self, groups: Sequence[Group]) -> Scores:
        """Return the scores of all spans, or why one has none. Raises CallFailed where that holds for all."""
        spans = [span for group in groups for span in group.spans]
        done = await self._by_rows([span for span in spans if self._by_id and is_cheap(span)])
        left = [span for span in spans if span not in done]
        for part in filled(left, self.prompts, lambda span: len(span.inputs), _few_lasts):
            done |= await self._whole(part)
        return done

    async def _by_rows(self, spans: Sequence[Span]) -> Scores:
        rows: dict[Tokens, dict[int, Row] | CallFailed] = {}
        for part in filled(nexts(spans), self.prompts, lambda ask: len(ask.tokens), _few_ids):
            found = await self.after(part)
            for ask, new in zip(part, found, strict=True):
                so_far = rows.get(ask.tokens, {})
                rows[ask.tokens] = so_far | new if isinstance(so_far, dict) and isinstance(new, dict) else new
        return {span: _collected(span, rows) for span in spans}

    async def after(self, asks: Sequence[Next]) -> list[dict[int, Row] | CallFailed]:
        """Return the rows of each, or why it has none. All are asked for the tokens of all."""
        ids = sorted(frozenset().union(*(ask.wanted for ask in asks)))
        reply = await self._post([ask.tokens for ask in asks], logprobs=1, logprob_token_ids=ids)
        found = choices(reply, len(asks))
        return [read(partial(after_named, choice, ask.wanted)) for choice, ask in zip(found, asks, strict=True)]

    async def _whole(self, spans: Sequence[Span]) -> Scores:
        if self._by_id:
            lasts = sorted({span.targets[-1] for span in spans})
            reply = await self._post(
                [span.inputs for span in spans], prompt_logprobs=1, logprobs=1, logprob_token_ids=lasts
            )
        else:
            reply = await self._post([whole(span) for span in spans], prompt_logprobs=1)
        found, take = choices(reply, len(spans)), _in_inputs if self._by_id else _in_whole
        return {span: read(partial(take, choice, span)) for choice, span in zip(found, spans, strict=True)}

    async def _post(self, prompts: Sequence[Tokens], **further: Any) -> dict[str, Any]:
        body = {
            "model": self._model,
            "prompt": [list(prompt) for prompt in prompts],
            "max_tokens": 1,
            "temperature": 0,
            "return_tokens_as_token_ids": True,
            **further,
        }
        return await self._connection.post("/completions", body)


def is_cheap(span: Span) -> bool:
    """Whether the targets cost less one by one, with the context read from the cache, than with the whole prompt."""
    return (len(span.targets) - 1) * ROW_COST < len(span.inputs)


def nexts(spans: Iterable[Span]) -> list[Next]:
    """Return the prompts that the targets follow, each once, in an order that keeps common prefixes together."""
    wanted: dict[Tokens, set[int]] = {}
    for span in spans:
        for place, target in enumerate(span.targets):
            wanted.setdefault(span.before(place), set()).add(target)
    return [
        Next(tokens, frozenset(ids[start : start + MOST_IDS]))
        for tokens in sorted(wanted)
        for ids in [sorted(wanted[tokens])]
        for start in range(0, len(ids), MOST_IDS)
    ]


def _few_lasts(spans: Sequence[Span]) -> bool:
    return len({span.targets[-1] for span in spans}) <= MOST_IDS


def _few_ids(asks: Sequence[Next]) -> bool:
    """The server gives each prompt's rows of all tokens that are named in a call."""
    return len(frozenset().union(*(ask.wanted for ask in asks))) <= MOST_IDS


def _collected(span: Span, rows: Mapping[Tokens, dict[int, Row] | CallFailed]) -> Score | CallFailed:
    places: dict[int, Row] = {}
    for place, target in enumerate(span.targets):
        found = rows[span.before(place)]
        if isinstance(found, CallFailed):
            return found
        places[place] = found[target]
    return scored(span, places)


def _in_inputs(choice: Mapping[str, Any], span: Span) -> Score:
    """The last target is not in the prompt, it is asked for as what follows."""
    last = len(span.targets) - 1
    rows = within(choice.get("prompt_logprobs"), len(span.inputs), range(last), span)
    return scored(span, rows | {last: after_named(choice, span.targets[-1:])[span.targets[-1]]})


def _in_whole(choice: Mapping[str, Any], span: Span) -> Score:
    rows = within(choice.get("prompt_logprobs"), len(span.inputs) + 1, range(len(span.targets)), span)
    return scored(span, rows)
