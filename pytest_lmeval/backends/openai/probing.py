"""Tiny requests that show what a server does, where it may also ignore what it does not know without a word."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from pytest_lmeval.backends.openai.capabilities import Capabilities
from pytest_lmeval.backends.openai.connection import CallFailed, Connection, patience
from pytest_lmeval.backends.openai.grouping import Group
from pytest_lmeval.backends.openai.routes.asking import Route
from pytest_lmeval.backends.openai.routes.echo import EchoRoute, Texts
from pytest_lmeval.backends.openai.routes.prompts import Next, PromptRoute
from pytest_lmeval.backends.openai.routes.token_level import TokenRoute
from pytest_lmeval.backends.openai.rows import Malformed
from pytest_lmeval.backends.text.encoding import Span, Tokens
from pytest_lmeval.backends.text.scores import Row, Score
from pytest_lmeval.errors import BackendError, ModelSpecError

# Statuses that say something about the server's state, not about what it can do.
_NO_ANSWER = frozenset({401, 402, 408, 429, 502, 503, 504, 529})

# Targets of the small request; its context is what is left.
_TARGETS = 3


def probe(connection: Connection, model: str, tokens: Tokens, texts: Texts) -> Capabilities:
    """Try all routes on ``tokens``, those of a short sentence. Raises BackendError where the server does not answer."""
    span = Span(tokens[:-1], tokens[-_TARGETS:])

    async def tried() -> Capabilities:
        # A server may answer with an error of its own to what it does not know; that does not pass.
        patience.set(1)
        found = await asyncio.gather(
            *(_outcome(name, trial) for name, trial in _trials(connection, model, span, texts))
        )
        facts = {name: value is True for name, value in found}
        return Capabilities(**facts, reasons=tuple(value for _, value in found if isinstance(value, str)))

    try:
        return connection.ask(tried)
    except CallFailed as failed:
        raise BackendError(failed.reason) from None


def _trials(connection: Connection, model: str, span: Span, texts: Texts) -> list[tuple[str, Awaitable[object]]]:
    by_id = PromptRoute(connection, model, by_id=True, prompts=2)
    whole = PromptRoute(connection, model, by_id=False, prompts=1)
    twice = Group(span.before(0), (span,))
    asks = [Next(span.before(place), frozenset(span.targets)) for place in (0, 1)]
    return [
        ("token_level", _scored(TokenRoute(connection, model), span)),
        ("cached_counts", TokenRoute(connection, model).counts_cached(span)),
        ("logprob_token_ids", _all(by_id.after(asks))),
        ("prompt_logprobs", _scored(whole, span)),
        ("echo", _scored(EchoRoute(connection, model, texts, ids=True, prompts=1), span)),
        ("echo_text", _scored(EchoRoute(connection, model, texts, ids=False, prompts=1), span)),
        ("many", _many(connection, model, [twice.context, span.inputs])),
    ]


async def _scored(route: Route, span: Span) -> bool:
    scores = await route.score([Group(span.before(0), (span,))])
    found = scores[span]
    if isinstance(found, CallFailed):
        raise found
    return isinstance(found, Score)


async def _all(rows: Awaitable[list[dict[int, Row] | CallFailed]]) -> bool:
    for found in await rows:
        if isinstance(found, CallFailed):
            raise found
    return True


async def _many(connection: Connection, model: str, prompts: list[Tokens]) -> bool:
    body = {"model": model, "prompt": [list(prompt) for prompt in prompts], "max_tokens": 1}
    reply = await connection.post("/completions", body)
    found = reply.get("choices")
    return isinstance(found, list) and len(found) == len(prompts)


async def _outcome(name: str, trial: Awaitable[object]) -> tuple[str, bool | str]:
    """Whether it works, or why not. Raises CallFailed where that is not known."""
    try:
        return name, bool(await trial)
    except Malformed as malformed:
        return name, f"{name}: {malformed}"
    except CallFailed as failed:
        # Without a status it is either a reply that could be read and not used, or no reply at all.
        if failed.status in _NO_ANSWER or failed.lost:
            raise
        return name, f"{name}: {failed.reason}"


def refused(model: str, base_url: str, found: Capabilities) -> ModelSpecError:
    """Say what is missing for log-likelihoods, and what to use instead."""
    reasons = "\n".join(f"  {reason}" for reason in found.reasons)
    return ModelSpecError(
        f"The server at {base_url} gives no log-probabilities of given tokens for {model!r}, which "
        f"log-likelihood tasks need. What was tried:\n{reasons}\n"
        "Use a server that has them (vLLM's, best with --enable-scale-out --enable-prompt-tokens-details, or one with "
        "echo and logprobs on /completions), choices=letters for multiple choice by a chat model, which is another "
        "metric, or tasks that generate."
    )
