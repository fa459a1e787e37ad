"""vLLM's route for tokens, ``/inference/v1/generate``: it reads the prefix cache also for log-probabilities.

A context is read first, and asked for the first tokens of all that may follow it. What follows has its last token asked
for by id as well, so that only the tokens between need log-probabilities of the prompt.

Log-probabilities of prompt tokens that came from the cache are not computed: one of vLLM's runners leaves them out, the
other sends memory that nobody has written. So this route is used only where the server tells how much came from there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from pytest_lmeval.backends.openai.connection import CallFailed, Connection
from pytest_lmeval.backends.openai.grouping import Group
from pytest_lmeval.backends.openai.routes.asking import MOST_IDS, Scores, waited
from pytest_lmeval.backends.openai.rows import Malformed, after_listed, choices, scored, within
from pytest_lmeval.backends.text.encoding import Span, Tokens
from pytest_lmeval.backends.text.scores import Row, Score

PATH = "/inference/v1/generate"

# Rows that the cache has swallowed are asked for one by one up to here, beyond it the whole prompt is read again.
FEW = 2

# Bad request, as which servers answer also where their reply cannot be written.
_UNREADABLE = 400

# One id less than vLLM takes: see ``_padded``.
_IDS = MOST_IDS - 1


class TokenRoute:
    """Scores one group in a call or two for each of its spans."""

    prompts = 1
    # One token is written after what is read.
    beyond = 1

    def __init__(self, connection: Connection, model: str) -> None:
        self._connection = connection
        self._path = connection.root + PATH
        self._model = model

    async def score(self, groups: Sequence[Group]) -> Scores:
        """Return the scores of all spans, or why one has none. Raises CallFailed where that holds for all."""
        done: Scores = {}
        for group in groups:
            firsts = await self._firsts(group)
            scores = await asyncio.gather(*(waited(self._score(span, firsts)) for span in group.spans))
            done |= dict(zip(group.spans, scores, strict=True))
        return done

    async def _firsts(self, group: Group) -> Mapping[int, Row]:
        """Read the context and return the rows of the first targets; none where a span reads it by itself."""
        if len(group.spans) == 1 and len(group.spans[0].targets) > 1:
            return {}
        return await self.after(group.context, {span.targets[0] for span in group.spans})

    async def _score(self, span: Span, firsts: Mapping[int, Row]) -> Score:
        rows = {0: firsts[span.targets[0]]} if span.targets[0] in firsts else {}
        if len(rows) < len(span.targets):
            rows |= await self._rest(span, len(rows))
        return scored(span, rows)

    async def _rest(self, span: Span, start: int) -> dict[int, Row]:
        """Return the rows from ``start`` on."""
        last = len(span.targets) - 1
        if start == last:
            return await self._single(span, last)
        try:
            found, cached = await self._read(span, start, cached=span.context_length > 1)
        except (CallFailed, Malformed) as failed:
            if isinstance(failed, CallFailed) and failed.status != _UNREADABLE:
                raise
            # Unwritten memory may also be what JSON has no number for: the server then refuses its own reply.
            found, cached = await self._read(span, start, cached=False)
        missing = range(start, min(last, max(start, cached - span.context_length + 1)))
        if len(missing) > FEW:
            found, _ = await self._read(span, start, cached=False)
        else:
            for place in missing:
                found |= await self._single(span, place)
        return found

    async def _single(self, span: Span, place: int) -> dict[int, Row]:
        rows = await self.after(span.before(place), [span.targets[place]])
        return {place: rows[span.targets[place]]}

    async def _read(self, span: Span, start: int, *, cached: bool) -> tuple[dict[int, Row], int]:
        """Return the rows from ``start`` on that were computed, and how many tokens came from the cache."""
        last = len(span.targets) - 1
        target = span.targets[last]
        # Beside each token the most probable one, which tells ties in half precision.
        reply = await self._post(span.inputs, [target], prompt_logprobs=1, skip_reading_prefix_cache=not cached)
        held = _cached(reply) if cached else 0
        first = max(start, held - span.context_length + 1)
        rows = within(reply.get("prompt_logprobs"), len(span.inputs), range(first, last), span)
        [choice] = choices(reply, 1)
        return rows | {last: after_listed(choice, [target])[target]}, held

    async def counts_cached(self, span: Span) -> bool:
        """Whether the server tells how many tokens came from its cache. Raises Malformed where it does not."""
        _cached(await self._post(span.inputs, [span.targets[-1]]))
        return True

    async def after(self, tokens: Tokens, wanted: Iterable[int]) -> dict[int, Row]:
        """Return the rows of tokens that may follow ``tokens``."""
        rows: dict[int, Row] = {}
        left = iter(sorted(wanted))
        while ids := list(islice(left, _IDS)):
            reply = await self._post(tokens, ids)
            [choice] = choices(reply, 1)
            rows |= after_listed(choice, ids)
        return rows

    async def _post(self, tokens: Tokens, ids: list[int], **further: Any) -> dict[str, Any]:
        asked = _padded(ids)
        parameters = {
            "temperature": 0,
            "max_tokens": 1,
            "detokenize": False,
            "logprobs": len(asked),
            "logprob_token_ids": asked,
            **further,
        }
        return await self._connection.post(
            self._path, {"model": self._model, "token_ids": list(tokens), "sampling_params": parameters}
        )


def _cached(reply: Mapping[str, Any]) -> int:
    usage = reply.get("usage")
    details = usage.get("prompt_tokens_details") if isinstance(usage, Mapping) else None
    found = details.get("cached_tokens") if isinstance(details, Mapping) else None
    if not isinstance(found, int) or found < 0:
        raise Malformed("it does not tell how many tokens came from the cache (--enable-prompt-tokens-details)")
    return found


def _padded(ids: list[int]) -> list[int]:
    """Ask for the last id twice: the reply has room for as many as were asked, the written token before them."""
    return [*ids, ids[-1]]
