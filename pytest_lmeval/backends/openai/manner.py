"""How one endpoint of one server wants to be asked to write: which settings it takes, and under which names.

Nothing is guessed from a model's name. What the user says counts; the rest is learnt from the server's own refusals of
a small request.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pytest_lmeval.backends.openai.connection import CallFailed

COMPLETIONS = "/completions"
CHAT = "/chat/completions"

# How many stop strings a call may have, tried from the left; more are looked for on this side.
STOP_COUNTS = (16, 4, 1, 0)

# Tokens that the small request may write: some servers refuse to reason within less.
_TRIAL_TOKENS = 16

TRIAL_TEXT = "Say yes, yes,"

_REFUSED = re.compile(r"unsupported|not support|unrecognized|unknown|not permitted|not allowed|deprecated", re.I)

Post = Callable[[str, Mapping[str, Any]], Awaitable[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """What may be said to one endpoint.

    ``length`` is the name of the token limit, ``stops`` the number of stop strings a call may have, ``temperature`` and
    ``seed`` whether it takes them. A model that is ``reasoning`` gets no stop strings, since they would end its
    reasoning, and ``reasoning_tokens`` more than the answer's limit; ``effort`` is its ``reasoning_effort`` and
    ``think_end`` the mark that ends reasoning inside the text. ``vllm`` is whether vLLM's own fields are understood,
    ``ids`` whether prompts may be tokens, ``prefill`` whether a last message of the assistant is continued anyway.
    """

    path: str
    length: str = "max_tokens"
    stops: int = 4
    temperature: bool = True
    seed: bool = True
    reasoning: bool = False
    reasoning_tokens: int = 0
    effort: str | None = None
    think_end: str | None = None
    vllm: bool = False
    ids: bool = False
    prefill: bool = False

    @property
    def thinks(self) -> bool:
        """Whether reasoning may come before the answer."""
        return self.reasoning or self.think_end is not None

    def sent(self, stops: tuple[str, ...]) -> list[str]:
        """Return the stop strings to send; all of them are looked for again in the answer."""
        return [] if self.thinks else [stop for stop in dict.fromkeys(stops) if stop][: self.stops]

    def most(self, tokens: int) -> int:
        """Tokens that a call may write whose answer may have ``tokens``."""
        return tokens + self.reasoning_tokens

    def limited(self, tokens: int) -> dict[str, int]:
        """Return the field that says so."""
        return {self.length: self.most(tokens)}


def reasoning_manner(path: str) -> Manner:
    """Return what is known of models that reason before they answer, on servers that tell them apart."""
    return Manner(path=path, length="max_completion_tokens", stops=0, temperature=False, seed=False, reasoning=True)


async def learn(post: Post, model: str, manner: Manner) -> Manner:
    """Ask a small request with everything that generation may send, and leave out what the server refuses.

    Raises CallFailed for other refusals. A server that ignores a field without saying so is not found out.
    """
    if not manner.thinks:
        manner = replace(manner, stops=STOP_COUNTS[0])
    while True:
        try:
            await post(manner.path, trial(model, manner))
        except CallFailed as refusal:
            if refusal.status == 400 and _ran_out(refusal.reason):
                return manner
            adapted = adapt(manner, refusal)
            if adapted is None:
                raise
            manner = adapted
        else:
            return manner


def trial(model: str, manner: Manner) -> dict[str, Any]:
    """Return the body of the small request."""
    asked: dict[str, Any] = (
        {"messages": [{"role": "user", "content": TRIAL_TEXT}]} if manner.path == CHAT else {"prompt": TRIAL_TEXT}
    )
    body = {"model": model, **asked, manner.length: _TRIAL_TOKENS}
    if manner.temperature:
        body["temperature"] = 0.0
    if manner.seed:
        body["seed"] = 1
    if manner.effort is not None:
        body["reasoning_effort"] = manner.effort
    stops = manner.sent(tuple(f"no {number}" for number in range(STOP_COUNTS[0])))
    return body | ({"stop": stops} if stops else {})


def adapt(manner: Manner, refusal: CallFailed) -> Manner | None:
    """Return ``manner`` without what the server refused; None where it says nothing that helps."""
    if refusal.status not in (400, 422):
        return None
    reason = refusal.reason
    refused = _REFUSED.search(reason) is not None
    # The token limit first: its refusal may name a setting that is taken instead.
    if refused and manner.length == "max_tokens" and names(reason, "max_completion_tokens"):
        return replace(manner, length="max_completion_tokens")
    if manner.stops and not manner.thinks and names(reason, "stop"):
        fewer = 0 if refused else next(count for count in STOP_COUNTS if count < manner.stops)
        return replace(manner, stops=fewer)
    if refused and manner.temperature and names(reason, "temperature"):
        return replace(manner, temperature=False)
    if refused and manner.seed and names(reason, "seed"):
        return replace(manner, seed=False)
    return None


def names(reason: str, field: str) -> bool:
    """Whether a refusal's text has ``field`` (a regular expression) as a word of its own."""
    return re.search(rf"(?<![A-Za-z_]){field}(?![A-Za-z_])", reason) is not None


def _ran_out(reason: str) -> bool:
    """OpenAI refuses a limit within which a model has not finished reasoning: the settings were taken, then."""
    return names(reason, "output limit was reached")
