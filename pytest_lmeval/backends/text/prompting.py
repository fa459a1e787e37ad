"""Prompts to continue, in tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pytest_lmeval.backends.protocol import Failure, GenerationRequest, GenerationSettings
from pytest_lmeval.backends.text.encoding import Encoder, Tokens


@dataclass(frozen=True, slots=True)
class Prompt:
    """A request and what the model reads of it."""

    request: GenerationRequest
    tokens: Tokens

    @property
    def settings(self) -> GenerationSettings:
        """How to continue."""
        return self.request.settings

    @property
    def length(self) -> int:
        """Tokens that the row takes up when it is finished."""
        return len(self.tokens) + self.settings.max_tokens

    @property
    def outputs(self) -> int:
        """Positions whose logits are wanted at a time."""
        return 1

    @property
    def group(self) -> str:
        """Prompts of one group may share a batch of ``generate``: all settings but the stop strings are equal."""
        return repr(replace(self.settings, until=()))


def encode(encoder: Encoder, requests: Sequence[GenerationRequest]) -> list[Prompt | Failure]:
    """Encode requests; too long a prompt loses its beginning, since the end is what is to be continued."""
    encoded = encoder.prompts(str(request.context) for request in requests)
    return [_prompt(encoder, request, encoded[str(request.context)]) for request in requests]


def _prompt(encoder: Encoder, request: GenerationRequest, tokens: list[int]) -> Prompt | Failure:
    wanted = request.settings.max_tokens
    if wanted < 1:
        return Failure(id=request.id, error=f"max_tokens is {wanted}; it must be 1 at least.")
    room = encoder.room(wanted)
    if room < 1:
        return Failure(id=request.id, error=_no_room(wanted, encoder.max_length))
    return Prompt(request, tuple(tokens[-room:]))


def _no_room(wanted: int, limit: int) -> str:
    return (
        f"max_tokens is {wanted} and the model reads {limit} tokens at most, so there is no room for a prompt. "
        "Lower max_gen_toks."
    )
