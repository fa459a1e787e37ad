"""What a server offers for writing: which endpoints it has for a model, and how each wants to be asked."""

from __future__ import annotations

import warnings
from collections.abc import Awaitable
from dataclasses import dataclass, replace
from functools import partial

from pytest_lmeval.backends.openai import OpenAIOptions
from pytest_lmeval.backends.openai.accounting import count
from pytest_lmeval.backends.openai.asking import Local
from pytest_lmeval.backends.openai.connection import CallFailed, Connection, patience
from pytest_lmeval.backends.openai.manner import CHAT, COMPLETIONS, TRIAL_TEXT, Manner, learn, reasoning_manner
from pytest_lmeval.errors import BackendError, ModelSpecError

# Statuses by which servers say that an endpoint is not there, or not for this model. vLLM answers 400 to chats where
# the model has no template, OpenAI 404 to texts where the model only chats.
_ABSENT = frozenset({400, 403, 404, 405, 415, 422, 501})


@dataclass(frozen=True, slots=True, kw_only=True)
class Offers:
    """The endpoints' manners; one of them at least is there. ``reasons`` are why the other is not."""

    completions: Manner | None
    chat: Manner | None
    reasons: tuple[str, ...] = ()


def find_offers(
    connection: Connection, model: str, options: OpenAIOptions, *, vllm: bool, local: Local | None
) -> Offers:
    """Ask small requests of the endpoints that the user allows.

    Raises ModelSpecError where none of them is there, BackendError where the server does not answer.
    """
    found: dict[str, Manner | CallFailed] = {}
    for path in (COMPLETIONS, CHAT):
        if options.endpoint in ("auto", path.strip("/").partition("/")[0]):
            found[path] = _learnt(connection, model, _manner(path, options, vllm=vllm))
    if not any(isinstance(manner, Manner) for manner in found.values()):
        reasons = " ".join(failed.reason for failed in found.values() if isinstance(failed, CallFailed))
        raise ModelSpecError(f"{connection.base_url} does not let {model} write. {reasons}")
    completions, chat = found.get(COMPLETIONS), found.get(CHAT)
    if isinstance(completions, Manner) and local is not None:
        completions = replace(completions, ids=_takes_ids(connection, model, local))
    return Offers(
        completions=completions if isinstance(completions, Manner) else None,
        chat=chat if isinstance(chat, Manner) else None,
        reasons=tuple(failed.reason for failed in found.values() if isinstance(failed, CallFailed)),
    )


def _manner(path: str, options: OpenAIOptions, *, vllm: bool) -> Manner:
    """Return what is said of the endpoint before it is asked."""
    chat = path == CHAT
    manner = reasoning_manner(path) if options.reasoning and chat else Manner(path=path)
    return replace(
        manner,
        effort=options.reasoning_effort if chat else None,
        think_end=options.think_end,
        reasoning_tokens=options.reasoning_tokens,
        vllm=vllm,
        prefill=options.prefill,
    )


def _learnt(connection: Connection, model: str, manner: Manner) -> Manner | CallFailed:
    try:
        learnt = connection.ask(partial(_impatient, learn(connection.post, model, manner)))
    except CallFailed as failed:
        if failed.status not in _ABSENT:
            raise BackendError(failed.reason) from None
        return failed
    if manner.temperature and not learnt.temperature:
        warnings.warn(
            f"{model}: {connection.base_url}{manner.path} takes no temperature, so answers are drawn and differ from "
            "run to run. Say so with reasoning=true if it is a reasoning model.",
            stacklevel=2,
        )
    return learnt


async def _impatient(asked: Awaitable[Manner]) -> Manner:
    """A server may answer with an error of its own to what it does not know; that does not pass."""
    patience.set(1)
    return await asked


def _takes_ids(connection: Connection, model: str, local: Local) -> bool:
    """Whether a prompt may be tokens. The count tells a server that takes them from one that reads them as text."""
    (tokens,) = local.encoder.prompts([TRIAL_TEXT]).values()
    body = {"model": model, "prompt": tokens, "max_tokens": 1}
    try:
        reply = connection.ask(partial(connection.post, COMPLETIONS, body))
    except CallFailed as failed:
        if failed.status not in _ABSENT:
            raise BackendError(failed.reason) from None
        return False
    return count(reply, "usage", "prompt_tokens") == len(tokens)
