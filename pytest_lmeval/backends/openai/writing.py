"""What writes and chooses on one server: put together from what the user says and what the server takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast, get_args

from pytest_lmeval.backends.openai import OpenAIOptions
from pytest_lmeval.backends.openai.asking import Asking, Local
from pytest_lmeval.backends.openai.choices import ChoiceScorer
from pytest_lmeval.backends.openai.connection import Connection
from pytest_lmeval.backends.openai.generating import Finishing, ServerGenerator
from pytest_lmeval.backends.openai.manner import Manner
from pytest_lmeval.backends.openai.offers import Offers, find_offers
from pytest_lmeval.backends.openai.prices import prices
from pytest_lmeval.backends.openai.proving import proved
from pytest_lmeval.backends.openai.ways import Way
from pytest_lmeval.backends.protocol import LOG_LIKELIHOOD
from pytest_lmeval.errors import ModelSpecError

OFF = "off"

Facts = dict[str, str | int | float | bool | None]


@dataclass(frozen=True, slots=True)
class Writing:
    """What answers generation requests, and what the server was found to offer."""

    generator: ServerGenerator
    offers: Offers

    @property
    def details(self) -> Facts:
        """What goes into the model's provenance."""
        return _facts(self.offers.completions, "completions") | _facts(self.offers.chat, "chat")


def check(options: OpenAIOptions) -> None:
    """Raise ModelSpecError for values that cannot be used; before anything is asked of a server."""
    expected = {"choices": (OFF, *get_args(Way)), "unfinished": ("error", "empty")}
    for key, values in expected.items():
        if (found := getattr(options, key)) not in values:
            raise ModelSpecError(f"{key}={found} is not known. Use one of {', '.join(values)}.")
    if options.reasoning_tokens < 0:
        raise ModelSpecError(f"reasoning_tokens={options.reasoning_tokens} cannot be used. Give a whole number.")
    if options.choices != OFF and options.endpoint == "completions":
        raise ModelSpecError(f"choices={options.choices} is asked of a chat endpoint; leave endpoint=completions out.")
    if options.chat_template is not None and options.endpoint == "chat":
        raise ModelSpecError("chat_template is applied here, and endpoint=chat leaves that to the server.")
    prices(options.input_price, options.output_price, options.cached_price)


def scoring_name(options: OpenAIOptions) -> str:
    """Return what stands for a log-likelihood. Another way of asking is another metric."""
    return LOG_LIKELIHOOD if options.choices == OFF else options.choices + ("-rotated" if options.rotate else "")


def open_writing(
    connection: Connection, model: str, options: OpenAIOptions, *, vllm: bool, local: Local | None
) -> Writing:
    """Learn what the endpoints take, by small requests, and put the parts together.

    Raises ModelSpecError where the server does not do what the options ask for, BackendError where it does not answer.
    """
    offers = find_offers(connection, model, options, vllm=vllm, local=local)
    if options.chat_template is not None and (offers.completions is None or local is None):
        raise ModelSpecError("chat_template needs the model's tokenizer (tokenizer=NAME) and a completions endpoint.")
    # The user's template is applied here; the server's own would take its place.
    chat = None if options.chat_template is not None else offers.chat
    asking = Asking(model, offers.completions, chat, local, " ".join(offers.reasons))
    endings = None if local is None else local.endings
    finishing = Finishing(endings=endings, unfinished_empty=options.unfinished == "empty")
    return Writing(ServerGenerator(connection, asking, finishing), offers)


def open_chooser(connection: Connection, model: str, options: OpenAIOptions, offers: Offers) -> ChoiceScorer:
    """Make sure that the server does what the way of choosing takes. Raises ModelSpecError where it does not."""
    if offers.chat is None:
        why = " ".join(offers.reasons)
        raise ModelSpecError(f"choices={options.choices}: {connection.base_url} has no chat endpoint. {why}")
    way = cast(Way, options.choices)
    top_logprobs = proved(connection, model, offers.chat, way)
    asking = Asking(model, None, offers.chat)
    return ChoiceScorer(
        connection, asking, offers.chat, model, way=way, rotate=options.rotate, top_logprobs=top_logprobs
    )


def _facts(manner: Manner | None, name: str) -> Facts:
    if manner is None:
        return {}
    facts: Facts = {f"{name}_stops": manner.stops, f"{name}_temperature": manner.temperature}
    if manner.thinks:
        facts |= {f"{name}_reasoning": True, f"{name}_reasoning_tokens": manner.reasoning_tokens}
    return facts | ({} if manner.effort is None else {f"{name}_reasoning_effort": manner.effort})
