"""The served model's tokenizer: one that is at hand, or else the server's own over its ``/tokenize``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_lmeval.backends.checkpoints.explaining import UNREADABLE, explained
from pytest_lmeval.backends.checkpoints.quiet import quiet
from pytest_lmeval.backends.checkpoints.source import Source, find
from pytest_lmeval.backends.checkpoints.tokenizers import load_tokenizer
from pytest_lmeval.backends.openai import OpenAIOptions
from pytest_lmeval.backends.openai.connection import CallFailed, Connection, patience
from pytest_lmeval.backends.openai.serving import Served
from pytest_lmeval.backends.text.encoding import Tokens
from pytest_lmeval.errors import BackendError, ModelSpecError

# What two tokenizers must agree on to be taken for the same.
SENTENCE = "The café's 3 naïve cats\n\tsat on 1024 mats — didn't they?"

# A tokenizer without a limit of its own says 10**30.
_NO_LIMIT = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokenizing:
    """A tokenizer and where it is from. ``remote`` where it is the server's."""

    tokenizer: Any
    origin: str
    remote: bool = False
    max_length: int | None = None


def find_tokenizer(connection: Connection, served: Served, options: OpenAIOptions) -> Tokenizing:
    """Find the tokenizer of a served model. Raises ModelSpecError where there is none, or not the right one."""
    remote = RemoteTokenizer(connection, served.name)
    theirs = remote.try_out()
    local = _local(served, options)
    if local is None and theirs is None:
        raise ModelSpecError(
            f"The tokenizer of {served.name} is not found by that name, and the server has no /tokenize. "
            "Give tokenizer=NAME, a hub id or a folder."
        )
    if local is None:
        remote.find_bos(add=options.add_bos_token)
        return Tokenizing(tokenizer=remote, origin="server", remote=True, max_length=remote.max_length)
    tokenizer, origin = local
    if theirs is not None:
        _check_same(tokenizer, origin, theirs, served)
    length = getattr(tokenizer, "model_max_length", None)
    known = int(length) if isinstance(length, int) and length < _NO_LIMIT else None
    return Tokenizing(tokenizer=tokenizer, origin=origin, max_length=remote.max_length or known)


def _local(served: Served, options: OpenAIOptions) -> tuple[Any, str] | None:
    """Load the tokenizer that the user names, or else look for one by the names that the server gives the model."""
    if options.tokenizer is not None:
        source = find(options.tokenizer, revision=options.revision)
        with quiet(), explained(options.tokenizer, source):
            return load_tokenizer(source, options), options.tokenizer
    for name in dict.fromkeys(filter(None, (served.root, served.name))):
        # Folders and what is in the cache already: a server's name for a model need not be the hub's.
        location = str(Path(name).expanduser()) if Path(name).expanduser().is_dir() else name
        try:
            with quiet():
                return load_tokenizer(Source(location=location, local=True, revision=options.revision), options), name
        except UNREADABLE:
            continue
    return None


def _check_same(tokenizer: Any, origin: str, theirs: Sequence[int], served: Served) -> None:
    ours = tokenizer(SENTENCE, add_special_tokens=False)["input_ids"]
    if list(ours) != list(theirs):
        raise ModelSpecError(
            f"The tokenizer {origin} is not that of the served model {served.name}: a sentence has {len(ours)} tokens "
            f"here and {len(theirs)} there, not the same ones. Give tokenizer=NAME of the model that is served."
        )


class RemoteTokenizer:
    """The server's tokenizer, with what :class:`Encoder` calls of transformers' tokenizers."""

    chat_template = None
    eos_token_id = None

    def __init__(self, connection: Connection, model: str) -> None:
        self.bos_token: str | None = None
        self.bos_token_id: int | None = None
        self.max_length: int | None = None
        self._connection = connection
        self._model = model
        self._special = True

    def try_out(self) -> list[int] | None:
        """Return the tokens of ``SENTENCE``; None where the server does not tokenize."""

        async def encode() -> list[int]:
            patience.set(1)
            return await self._encode(SENTENCE, special=False)

        try:
            return self._connection.ask(encode) or None
        except CallFailed:
            return None

    def find_bos(self, *, add: bool | None) -> None:
        """Learn which token the tokenizer puts before a text, if it does; ``add`` is what the user says of it."""
        plain, special = self._batch(["a"], special=False), self._batch(["a"], special=True)
        if special[0][1:] == plain[0]:
            self.bos_token_id = special[0][0]
            self.bos_token = self.decode([self.bos_token_id])
        self._special = add is not False

    def __call__(
        self, texts: Sequence[str], *, add_special_tokens: bool | None = None, **_settings: object
    ) -> dict[str, list[list[int]]]:
        """Encode texts, several calls at a time. Raises BackendError where one fails."""
        return {"input_ids": self._batch(texts, self._special if add_special_tokens is None else add_special_tokens)}

    def decode(self, tokens: Tokens | list[int], **_settings: object) -> str:
        """Return the text of tokens, special ones included."""
        asked = {"model": self._model, "tokens": list(tokens)}
        try:
            reply = self._connection.ask(lambda: self._connection.post(self._connection.root + "/detokenize", asked))
        except CallFailed as failed:
            raise BackendError(failed.reason) from None
        text = reply.get("prompt")
        if not isinstance(text, str):
            raise BackendError(f"{self._connection.root}/detokenize answered without a text.")
        return text

    def apply_chat_template(self, *_messages: object, **_settings: object) -> str:
        """Servers do not give their template away."""
        raise ValueError("it is the server's alone; tokenizer=NAME gives it")

    def _batch(self, texts: Sequence[str], special: bool) -> list[list[int]]:
        calls = ((place, lambda text=text: self._encode(text, special)) for place, text in enumerate(texts))
        found: dict[int, list[int]] = {}
        for place, tokens in self._connection.run(calls):
            if isinstance(tokens, CallFailed):
                raise BackendError(tokens.reason)
            found[place] = tokens
        return [found[place] for place in range(len(texts))]

    async def _encode(self, text: str, special: bool) -> list[int]:
        path = self._connection.root + "/tokenize"
        asked = {"model": self._model, "prompt": text, "add_special_tokens": special}
        reply: Mapping[str, Any] = await self._connection.post(path, asked)
        tokens, length = reply.get("tokens"), reply.get("max_model_len")
        if not isinstance(tokens, list) or not all(isinstance(token, int) and token >= 0 for token in tokens):
            raise CallFailed(f"POST {path}: the reply has no tokens.")
        if isinstance(length, int) and length > 0:
            self.max_length = length
        return tokens


class Texts:
    """From tokens to the text that the server will make the same tokens of."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    def text(self, tokens: Tokens) -> str | None:
        """Return it; None where no text is encoded to these tokens.

        It may be without the first token, where that is one which tokenizers put before a text.
        """
        for part in (tokens, tokens[1:]):
            text: str = self._tokenizer.decode(list(part))
            [again] = self._tokenizer([text])["input_ids"]
            if tuple(again) == tokens:
                return text
        return None

    def shown(self, token: int) -> str:
        """Return one token's text."""
        text: str = self._tokenizer.decode([token])
        return text


class NoTexts:
    """Stands for :class:`Texts` where only the server has the tokenizer: a route cannot wait for other calls."""

    def text(self, _tokens: Tokens) -> None:
        """There is none."""

    def shown(self, _token: int) -> str:
        """No text that could be told from a server's."""
        return ""
