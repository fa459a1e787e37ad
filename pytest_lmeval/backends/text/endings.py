"""What ends an answer of one model, and what of it is the answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pytest_lmeval.backends.protocol import GenerationAnswer, GenerationSettings
from pytest_lmeval.backends.text.prompting import Prompt
from pytest_lmeval.backends.text.stopping import Stops, contains, cut


class Endings:
    """``tokens`` end any answer: the tokenizer's EOS and those that the model's own settings name (``configured``)."""

    def __init__(self, tokenizer: Any, configured: int | Sequence[int] | None = None) -> None:
        self._tokenizer = tokenizer
        eos = tokenizer.eos_token_id
        named = configured if isinstance(configured, Sequence) else [configured]
        self.tokens: list[int] = sorted({token for token in (*named, eos) if token is not None})
        self._text: str | None = None if eos is None else tokenizer.decode([eos])

    def stops(self, settings: GenerationSettings) -> list[str]:
        """Return the stop strings asked for and the end token's text, which a model may also spell out."""
        return [stop for stop in (*settings.until, self._text) if stop]

    def follow(self, settings: GenerationSettings) -> Stops:
        """Return what watches one answer as it is written."""
        return Stops(self._tokenizer, self.tokens, self.stops(settings))

    def ends(self, settings: GenerationSettings, written: Sequence[int]) -> bool:
        """Whether there is an end token or a stop string in what was written."""
        if any(token in self.tokens for token in written):
            return True
        return contains(self._tokenizer.decode(list(written)), self.stops(settings))

    def answer(self, prompt: Prompt, written: Sequence[int], *, limited: bool | None = None) -> GenerationAnswer:
        """Return what was written up to an end token or before a stop string.

        ``limited`` tells whether the engine ended it for the limit of tokens; None, that it does not say: then the
        number of tokens does.
        """
        end = next((place for place, token in enumerate(written) if token in self.tokens), None)
        text, used = cut(self._tokenizer, list(written[:end]), self.stops(prompt.settings))
        if limited is None:
            limited = len(written) >= prompt.settings.max_tokens
        return GenerationAnswer(
            id=prompt.request.id,
            text=text,
            tokens=len(prompt.tokens) + used,
            truncated=limited and not self.ends(prompt.settings, written),
        )
