"""What a server can do for log-likelihoods, and which route that makes."""

from __future__ import annotations

from dataclasses import dataclass, field

from pytest_lmeval.backends.openai.connection import Connection
from pytest_lmeval.backends.openai.routes.asking import Route
from pytest_lmeval.backends.openai.routes.echo import EchoRoute, Texts
from pytest_lmeval.backends.openai.routes.prompts import PromptRoute
from pytest_lmeval.backends.openai.routes.token_level import TokenRoute

# Prompts to a call where the server takes more than one. A call that fails is asked again in parts.
PROMPTS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a server was seen to do, each by a tiny request whose reply was checked.

    ``token_level``: vLLM's ``/inference/v1/generate`` scores, and ``cached_counts``: it tells what came from the cache.
    ``logprob_token_ids``, ``prompt_logprobs``, ``echo`` and ``echo_text``: what ``/completions`` gives, all but the
    last for prompts in token ids. ``many``: it takes several prompts in a call. ``reasons`` are why not, for a person.
    """

    token_level: bool = False
    cached_counts: bool = False
    logprob_token_ids: bool = False
    prompt_logprobs: bool = False
    echo: bool = False
    echo_text: bool = False
    many: bool = False
    reasons: tuple[str, ...] = field(default=(), compare=False)

    @property
    def route(self) -> str | None:
        """The best way to score, None where there is none."""
        if self.token_level and self.cached_counts:
            return "inference/v1/generate"
        if self.prompt_logprobs:
            return "completions, prompt_logprobs"
        if self.echo or self.echo_text:
            return "completions, echo"
        return None

    def details(self) -> dict[str, str | int | float | bool | None]:
        """What goes into reports."""
        return {
            "scoring_route": self.route,
            "token_level_route": self.token_level,
            "cached_counts": self.cached_counts,
            "logprob_token_ids": self.logprob_token_ids,
            "prompt_logprobs": self.prompt_logprobs,
            "echo_logprobs": self.echo or self.echo_text,
            "token_id_prompts": self.token_level or self.prompt_logprobs or self.echo,
            "prompts_per_call": PROMPTS if self.many else 1,
        }

    def build(self, connection: Connection, model: str, texts: Texts) -> Route:
        """Return the route. There must be one."""
        prompts = PROMPTS if self.many else 1
        if self.token_level and self.cached_counts:
            return TokenRoute(connection, model)
        if self.prompt_logprobs:
            return PromptRoute(connection, model, by_id=self.logprob_token_ids, prompts=prompts)
        return EchoRoute(connection, model, texts, ids=self.echo, prompts=prompts)
