"""Stop strings: when a text is done, and which part of what was written is the answer."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Sequence
from typing import Any

from tokenizers.decoders import DecodeStream


class Stops:
    """Follows one text as it is written, token by token, and says when it ends.

    ``ends`` are tokens, ``stops`` texts that end it. Only the new part of the text is decoded and looked at.
    """

    def __init__(self, tokenizer: Any, ends: Collection[int], stops: Sequence[str]) -> None:
        self._tokenizer = tokenizer
        self._ends = ends
        self._stops = stops
        self._written: list[int] = []
        self._stream = DecodeStream(skip_special_tokens=False)
        self._tail = ""
        self._longest = max(map(len, stops), default=0)

    def push(self, token: int) -> bool:
        """Take the next token; say whether the text ends with it."""
        self._written.append(token)
        if token in self._ends:
            return True
        new = self._decode(token)
        if not new or not self._stops:
            return False
        text = self._tail + new
        self._tail = text[-(self._longest - 1) :] if self._longest > 1 else ""
        # Confirmed on everything written: a decoder may show a part differently on its own.
        return contains(text, self._stops) and contains(self._tokenizer.decode(self._written), self._stops)

    def _decode(self, token: int) -> str:
        """Return the text that ``token`` adds; empty where it ends amid a character."""
        return self._stream.step(self._tokenizer.backend_tokenizer, token) or ""


def cut(tokenizer: Any, tokens: list[int], stops: Sequence[str]) -> tuple[str, int]:
    """Return the text before the earliest stop string, without special tokens, and how many tokens it took.

    Stop strings are looked for in the text with special tokens, where a stop string may be one.
    """
    if not contains(tokenizer.decode(tokens), stops):
        return tokenizer.decode(tokens, skip_special_tokens=True), len(tokens)
    used = bisect_left(range(len(tokens)), True, key=lambda end: contains(tokenizer.decode(tokens[: end + 1]), stops))
    head = tokens[: used + 1]
    text: str = tokenizer.decode(head, skip_special_tokens=True)
    # The last token completes the stop string, so what is to be cut is the end of the text.
    whole = tokenizer.decode(head)
    tail = _without_special(tokenizer, whole[find(whole, stops) :])
    return (text[: len(text) - len(tail)] if text.endswith(tail) else text[: find(text, stops)]), len(head)


def contains(text: str, stops: Sequence[str]) -> bool:
    """Whether one of ``stops`` is in ``text``."""
    return any(stop in text for stop in stops)


def find(text: str, stops: Sequence[str]) -> int:
    """Where the earliest stop string begins, else the text's end."""
    return min((place for stop in stops if (place := text.find(stop)) >= 0), default=len(text))


def _without_special(tokenizer: Any, text: str) -> str:
    for token in tokenizer.added_tokens_decoder.values():
        if token.special:
            text = text.replace(token.content, "")
    return text
