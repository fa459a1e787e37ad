"""Text to tokens: where a context ends and its continuation begins, and who gets a BOS token."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

Tokens = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Span:
    """What the model reads and what it is scored on, in tokens.

    The last ``len(targets)`` positions of ``inputs`` predict ``targets``.
    """

    inputs: Tokens
    targets: Tokens

    @property
    def context_length(self) -> int:
        """Tokens before the first target."""
        return len(self.inputs) - len(self.targets) + 1

    def before(self, place: int) -> Tokens:
        """What stands before the target at ``place``, counted from 0."""
        return self.inputs[: self.context_length + place]


class Tokenized(Protocol):
    """What must be known of a model to tokenize for it."""

    @property
    def tokenizer(self) -> Any:
        """One of transformers', untyped there, or what answers the same calls."""

    @property
    def max_length(self) -> int:
        """Tokens that the model reads at once."""

    @property
    def prefix_token_id(self) -> int:
        """The token before a text without context."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizedModel:
    """A model of which nothing else is in this process."""

    tokenizer: Any
    max_length: int
    prefix_token_id: int


class Encoder:
    """The tokenizer of one model, with the rules by which lm-evaluation-harness uses it."""

    def __init__(self, model: Tokenized, add_bos_token: bool | None = None) -> None:
        self.prefix: int = model.prefix_token_id
        self.max_length: int = model.max_length
        self._tokenizer = model.tokenizer
        self._add_bos_token = add_bos_token
        self._prefix_text: str = model.tokenizer.decode([self.prefix])
        self._bos_text: str | None = model.tokenizer.bos_token

    def texts(self, texts: Iterable[str]) -> dict[str, list[int]]:
        """Texts to score, each encoded once, with the special tokens that the tokenizer adds by itself.

        A text that begins with the prefix token's text gets none: a chat template has put it there.
        """
        return self._encode(texts, self._prefix_text)

    def prompts(self, texts: Iterable[str]) -> dict[str, list[int]]:
        """Texts to continue; never empty, because a model must read something."""
        encoded = self._encode(texts, self._bos_text)
        return {text: tokens or [self.prefix] for text, tokens in encoded.items()}

    def room(self, wanted: int) -> int:
        """Tokens that a prompt may have where an answer may have ``wanted``; less than 1 where it cannot."""
        return self.max_length - wanted

    def pairs(self, pairs: Sequence[tuple[str, str]]) -> list[Span | str]:
        """Contexts with their continuations as spans; in place of one that cannot be scored, why."""
        moved = [move_whitespace(context, continuation) for context, continuation in pairs]
        joint = self.texts(text for context, cont in moved if context for text in (context, context + cont))
        alone = self._plain(cont for context, cont in moved if not context)
        return [
            self._span(*(self._split(joint, context, cont) if context else self._start(alone[cont])))
            for context, cont in moved
        ]

    def _split(self, encoded: dict[str, list[int]], context: str, continuation: str) -> tuple[list[int], list[int]]:
        """By token count. Where a token spans the border, the model reads the context as encoded alone."""
        alone, whole = encoded[context], encoded[context + continuation]
        # A tokenizer may drop all of a context: then there is none.
        return (alone, whole[len(alone) :]) if alone else self._start(whole)

    def _start(self, tokens: list[int]) -> tuple[list[int], list[int]]:
        """Without a context the prefix token stands for it, unless the continuation brings its own."""
        return (tokens[:1], tokens[1:]) if tokens[:1] == [self.prefix] else ([self.prefix], tokens)

    def _span(self, context: list[int], continuation: list[int]) -> Span | str:
        if not continuation:
            return "The continuation has no token of its own after this context, so it has no probability."
        if len(continuation) > self.max_length:
            return f"The continuation has {len(continuation)} tokens and the model reads {self.max_length} at most."
        return Span(tuple(self._cut(context, continuation)), tuple(continuation))

    def _cut(self, context: list[int], continuation: list[int]) -> list[int]:
        """Too long a text loses its beginning. The last token is only predicted, never read."""
        return (context + continuation)[-(self.max_length + 1) :][:-1]

    def _encode(self, texts: Iterable[str], beginning: str | None) -> dict[str, list[int]]:
        marked: list[str] = []
        unmarked: list[str] = []
        for text in dict.fromkeys(texts):
            (marked if beginning and text.startswith(beginning) else unmarked).append(text)
        return self._plain(marked) | self._batch(unmarked, self._add_bos_token)

    def _plain(self, texts: Iterable[str]) -> dict[str, list[int]]:
        return self._batch(list(dict.fromkeys(texts)), special=False)

    def _batch(self, texts: list[str], special: bool | None) -> dict[str, list[int]]:
        """Tokens of each text; ``special`` None leaves the choice to the tokenizer."""
        if not texts:
            return {}
        chosen = {} if special is None else {"add_special_tokens": special}
        encoded = self._tokenizer(
            texts,
            padding=False,
            truncation=False,
            return_attention_mask=False,
            return_token_type_ids=False,
            verbose=False,  # texts longer than the model are cut here, not by the tokenizer
            **chosen,
        )
        return dict(zip(texts, encoded["input_ids"], strict=True))


def move_whitespace(context: str, continuation: str) -> tuple[str, str]:
    """Whitespace at the end of the context starts the continuation: tokens carry their leading space."""
    kept = context.rstrip()
    return kept, context[len(kept) :] + continuation
