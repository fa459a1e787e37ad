"""Scores of spans on a vLLM engine: each context is read once, and what follows it from the prefix cache.

A prompt is a span's inputs. Its last target's log-probability is that of a token to be generated, asked for by its id,
so a choice of one token needs no logits of the prompt at all, and all such choices of one context are one request. The
other targets' rows are the prompt's own log-probabilities.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Generic, TypeVar

import numpy as np
from vllm import SamplingParams

from pytest_lmeval.backends.text.encoding import Span, Tokens
from pytest_lmeval.backends.text.scores import Row, Score, checked
from pytest_lmeval.backends.vllm.engine import Engine, Inbox
from pytest_lmeval.backends.vllm.rows import chosen_within, row_after, rows_within

OwnerT = TypeVar("OwnerT")

# vLLM takes that many ids to a request (vllm/sampling_params.py).
MOST_IDS = 128
# Rows that the cache has swallowed are asked for one by one up to here, beyond it the whole prompt is read again.
FEW = 2
# Spans that are put in order together: their prefixes stay near each other.
WINDOW = 2048


@dataclass(slots=True, eq=False)
class _Text(Generic[OwnerT]):
    """A span under way: who wants it, and the rows of its targets so far. ``promised`` are on their way."""

    span: Span
    owners: list[OwnerT] = field(default_factory=list)
    rows: dict[int, Row] = field(default_factory=dict)
    promised: set[int] = field(default_factory=set)
    error: str | None = None
    certain: bool = False

    @property
    def done(self) -> bool:
        return self.error is not None or len(self.rows) == len(self.span.targets)

    def score(self) -> Score | str:
        if self.error is not None:
            return self.error
        rows = self.rows.values()
        return checked(Score(math.fsum(row.logprob for row in rows), all(row.is_greedy for row in rows)))


@dataclass(slots=True, eq=False)
class _Ask(Generic[OwnerT]):
    """One request: who wants the rows within it, and who the row of a token after it, by token and place."""

    tokens: Tokens
    within: list[_Text[OwnerT]] = field(default_factory=list)
    after: dict[int, list[tuple[_Text[OwnerT], int]]] = field(default_factory=dict)

    def want(self, text: _Text[OwnerT], place: int) -> None:
        self.after.setdefault(text.span.targets[place], []).append((text, place))
        text.promised.add(place)

    def texts(self) -> Iterator[_Text[OwnerT]]:
        yield from self.within
        for wanted in self.after.values():
            yield from (text for text, _ in wanted)


class EngineScorer:
    """Scores spans; several streams may share the engine. ``lora`` is vLLM's name of an adapter.

    Without ``greedy`` nobody needs to know whether a target is the most probable token. Then vLLM's second model runner
    is asked for the targets' log-probabilities alone. ``by_row`` asks for each target as a token to be generated: the
    only way where an adapter changes the layer that makes logits.
    """

    def __init__(self, engine: Engine, lora: Any = None, *, greedy: bool = True, by_row: bool = False) -> None:
        self._engine = engine
        self._lora = lora
        self._block: int = engine.config.cache_config.block_size
        self._caching: bool = engine.config.cache_config.enable_prefix_caching
        self._by_row = by_row
        self._greedy = greedy or not getattr(engine.config, "use_v2_model_runner", False)
        # In half precision two tokens often share the first place, which a rank alone does not tell.
        self._beside = 0 if str(engine.config.model_config.dtype) == "torch.float32" else 1

    def score(self, spans: Iterable[tuple[OwnerT, Span]]) -> Iterator[tuple[OwnerT, Score | str]]:
        """Yield each owner with its score, as they are found; spans are pulled while the engine has room."""
        inbox = Inbox()
        asks = self._asks(iter(spans))
        more = True
        try:
            while more or inbox.held or inbox.results:
                while more and self._engine.hungry:
                    more = self._submit_next(inbox, asks)
                # Where other streams fill the engine, their steps make room for this one.
                if not inbox.results:
                    self._engine.advance()
                for ask, output in inbox.taken():
                    yield from self._settle(inbox, ask, output)
        finally:
            self._engine.abandon(inbox)

    def _submit_next(self, inbox: Inbox, asks: Iterator[_Ask[OwnerT]]) -> bool:
        ask = next(asks, None)
        if ask is not None:
            self._submit(inbox, ask)
        return ask is not None

    def _asks(self, spans: Iterator[tuple[OwnerT, Span]]) -> Iterator[_Ask[OwnerT]]:
        """Yield requests window by window, in an order that keeps common prefixes together."""
        while window := list(islice(spans, WINDOW)):
            texts: dict[Span, _Text[OwnerT]] = {}
            for owner, span in window:
                texts.setdefault(span, _Text(span)).owners.append(owner)
            asks = self._planned(list(texts.values()))
            del window, texts
            yield from asks

    def _planned(self, texts: list[_Text[OwnerT]]) -> Iterator[_Ask[OwnerT]]:
        asks: dict[Tokens, _Ask[OwnerT]] = {}

        def at(tokens: Tokens) -> _Ask[OwnerT]:
            return asks.setdefault(tokens, _Ask(tokens))

        in_pairs = self._in_pairs(texts)
        for text in texts:
            last = len(text.span.targets) - 1
            by_row = self._by_row or text in in_pairs
            for place in range(last if not by_row else 0, last + 1):
                at(text.span.before(place)).want(text, place)
            if last and not by_row:
                at(text.span.inputs).within.append(text)
                self._read_context(at, text)
        for tokens in sorted(asks):
            yield from _split(asks.pop(tokens))

    def _read_context(self, at: Callable[[Tokens], _Ask[OwnerT]], text: _Text[OwnerT]) -> None:
        """Put a context into the cache before its choices, in whole blocks, so that nothing is computed twice.

        vLLM makes logits of all tokens that a prompt with log-probabilities does not find there.
        """
        blocks = self._whole_blocks(text.span)
        if not blocks:
            return
        context = at(text.span.inputs[:blocks])
        if blocks == text.span.context_length:
            # Then the first target's row is one that the cache swallows.
            context.want(text, 0)

    def _in_pairs(self, texts: Iterable[_Text[OwnerT]]) -> set[_Text[OwnerT]]:
        """Texts of two targets whose context another such text has.

        Their first rows come with one request for the context, which costs less than logits of each prompt's tokens.
        """
        sharing: dict[Tokens, list[_Text[OwnerT]]] = {}
        for text in texts:
            if len(text.span.targets) == 2 and self._whole_blocks(text.span):
                sharing.setdefault(text.span.before(0), []).append(text)
        return {text for group in sharing.values() if len(group) > 1 for text in group}

    def _whole_blocks(self, span: Span) -> int:
        """How many tokens of the context fill blocks of the cache; none where there is no cache."""
        return span.context_length // self._block * self._block if self._caching else 0

    def _submit(self, inbox: Inbox, ask: _Ask[OwnerT], *, cached: bool = True) -> None:
        ids = sorted(ask.after)
        parameters = SamplingParams(
            temperature=0,
            max_tokens=1,
            detokenize=False,
            flat_logprobs=True,
            logprob_token_ids=ids or None,
            # By default vLLM reads nothing from its cache for a request with log-probabilities of its prompt.
            skip_reading_prefix_cache=not (cached and self._may_share(ask)),
            **self._within(ask),
        )
        self._engine.submit(inbox, ask, ask.tokens, parameters, self._lora)

    def _within(self, ask: _Ask[OwnerT]) -> dict[str, Any]:
        """Ask for the rows of the prompt; of one text alone, where they are asked for by id."""
        if not ask.within:
            return {}
        if self._greedy or len(ask.within) > 1:
            return {"prompt_logprobs": self._beside}
        span = ask.within[0].span
        ids = np.array([[token] for token in span.targets[:-1]], dtype=np.int64)
        return {"prompt_logprob_token_ids": ids, "prompt_logprob_start": span.context_length - 1}

    def _may_share(self, ask: _Ask[OwnerT]) -> bool:
        """Whether reading the cache saves anything: a context with a block of its own."""
        return not ask.within or any(self._whole_blocks(text.span) for text in ask.within)

    def _settle(self, inbox: Inbox, ask: _Ask[OwnerT], output: Any | str) -> Iterator[tuple[OwnerT, Score | str]]:
        touched = list(dict.fromkeys(ask.texts()))
        if isinstance(output, str):
            for text in touched:
                text.error = text.error or output
        else:
            self._read(inbox, ask, output)
        for text in touched:
            if text.done:
                yield from ((owner, text.score()) for owner in text.owners)
                text.owners = []

    def _read(self, inbox: Inbox, ask: _Ask[OwnerT], output: Any) -> None:
        for token, wanted in ask.after.items():
            row = row_after(output, token)
            for text, place in wanted:
                if row is None:
                    text.error = f"vLLM gave no log-probability of token {token}."
                else:
                    text.rows[place] = row
        for text in ask.within:
            if not text.done:
                self._read_within(inbox, text, output)

    def _read_within(self, inbox: Inbox, text: _Text[OwnerT], output: Any) -> None:
        rows = (rows_within if self._greedy else chosen_within)(text.span, output)
        if rows is not None:
            text.rows.update({place: row for place, row in rows.items() if place not in text.rows})
        known = text.rows.keys() | text.promised
        missing = [place for place in range(len(text.span.targets)) if place not in known]
        if rows is not None and len(missing) <= FEW:
            for place in missing:
                single: _Ask[OwnerT] = _Ask(text.span.before(place))
                single.want(text, place)
                self._submit(inbox, single)
        elif text.certain:
            text.error = "vLLM's log-probabilities of this text's tokens do not belong to them."
        else:
            text.certain = True
            self._submit(inbox, _Ask(text.span.inputs, within=[text]), cached=False)


def _split(ask: _Ask[OwnerT]) -> Iterator[_Ask[OwnerT]]:
    """Divide a request whose ids are more than vLLM takes; the rows within come with the first part."""
    ids = sorted(ask.after)
    if len(ids) <= MOST_IDS:
        yield ask
        return
    for start in range(0, len(ids), MOST_IDS):
        part = {token: ask.after[token] for token in ids[start : start + MOST_IDS]}
        yield _Ask(ask.tokens, within=ask.within if not start else [], after=part)
