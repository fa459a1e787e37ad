"""What writes and chooses on one server: put together from what the user says and what the server takes."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from functools import partial
from typing import cast, get_args

from pytest_lmeval.backends.openai import OpenAIOptions
from pytest_lmeval.backends.openai.asking import Asking, Local
from pytest_lmeval.backends.openai.choices import ChoiceScorer
from pytest_lmeval.backends.openai.connection import Connection
from pytest_lmeval.backends.openai.generating import Finishing, ServerGenerator
from pytest_lmeval.backends.openai.manner import CHAT, COMPLETIONS, Manner, learn, reasoning_manner
from pytest_lmeval.backends.openai.prices import prices
from pytest_lmeval.backends.openai.proving import proved
from pytest_lmeval.backends.openai.ways import SCORING, Way
from pytest_lmeval.backends.protocol import LOG_LIKELIHOOD
from pytest_lmeval.errors import ModelSpecError

Facts = dict[str, str | int | float | bool | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What the server has: its endpoints, whether its prompts may be tokens (``ids``), and whether it is vLLM's."""

    completions: bool
    chat: bool
    ids: bool = False
    vllm: bool = False


class Writing:
    """``generator`` answers generation requests; ``chooser`` multiple choice, where the user asked for that way."""

    def __init__(self, generator: ServerGenerator, chooser: ChoiceScorer | None, way: Way | None, facts: Facts) -> None:
        self.generator = generator
        self.chooser = chooser
        self._way = way
        self._facts = facts

    @property
    def scoring(self) -> str:
        """What stands for a log-likelihood."""
        return LOG_LIKELIHOOD if self._way is None else SCORING[self._way]

    @property
    def details(self) -> Facts:
        """What goes into the model's provenance."""
        return self._facts | ({} if self.chooser is None else self.chooser.details)


def check(options: OpenAIOptions) -> None:
    """Raise ModelSpecError for values that mean nothing; before anything is asked of a server."""
    expected = {"choices": ("off", *get_args(Way)), "unfinished": ("error", "empty")}
    for key, values in expected.items():
        if (found := getattr(options, key)) not in values:
            raise ModelSpecError(f"{key}={found}: expected {', '.join(values[:-1])} or {values[-1]}")
    if options.reasoning_tokens < 0:
        raise ModelSpecError(f"reasoning_tokens={options.reasoning_tokens}: expected a number of tokens, 0 or more")
    if options.choices != "off" and options.endpoint == COMPLETIONS.strip("/"):
        raise ModelSpecError(f"choices={options.choices} is asked of a chat endpoint; leave endpoint=completions out")
    prices(options.input_price, options.output_price, options.cached_price)


def open_writing(
    connection: Connection, model: str, options: OpenAIOptions, offer: Offer, local: Local | None
) -> Writing:
    """Learn what the endpoints take, by small requests, and put the parts together.

    Raises ModelSpecError where the server does not do what the options ask for, CallFailed where it refuses to write.
    """
    completions = _learnt(connection, model, options, offer, COMPLETIONS) if offer.completions else None
    chat = _learnt(connection, model, options, offer, CHAT) if offer.chat else None
    asking = Asking(model, completions, chat, local)
    finishing = Finishing(
        endings=None if local is None else local.endings, unfinished_empty=options.unfinished == "empty"
    )
    generator = ServerGenerator(connection, asking, finishing)
    facts = _facts(completions, "completions") | _facts(chat, "chat")
    if options.choices == "off":
        return Writing(generator, None, None, facts)
    if chat is None:
        raise ModelSpecError(f"choices={options.choices}: {connection.base_url} has no chat endpoint to ask")
    way = cast(Way, options.choices)
    top_logprobs = proved(connection, model, chat, way)
    chooser = ChoiceScorer(connection, asking, chat, model, way=way, rotate=options.rotate, top_logprobs=top_logprobs)
    return Writing(generator, chooser, way, facts)


def _learnt(connection: Connection, model: str, options: OpenAIOptions, offer: Offer, path: str) -> Manner:
    manner = reasoning_manner(path) if options.reasoning and path == CHAT else Manner(path=path)
    manner = replace(
        manner,
        effort=options.reasoning_effort if path == CHAT else None,
        think_end=options.think_end,
        reasoning_tokens=options.reasoning_tokens,
        vllm=offer.vllm,
        ids=offer.ids,
        prefill=options.prefill,
    )
    learnt = connection.ask(partial(learn, connection.post, model, manner))
    if manner.temperature and not learnt.temperature:
        warnings.warn(
            f"{model}: {connection.base_url}{path} takes no temperature, so answers are drawn and differ from run to "
            "run. Say so with reasoning=true if it is a reasoning model.",
            stacklevel=2,
        )
    return learnt


def _facts(manner: Manner | None, name: str) -> Facts:
    if manner is None:
        return {}
    facts: Facts = {f"{name}_stops": manner.stops, f"{name}_temperature": manner.temperature}
    if manner.thinks:
        facts |= {f"{name}_reasoning": True, f"{name}_reasoning_tokens": manner.reasoning_tokens}
    return facts | ({} if manner.effort is None else {f"{name}_reasoning_effort": manner.effort})
