"""The openai backend: one model of one server behind the protocol."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from itertools import chain
from typing import Any

from pytest_lmeval.backends.checkpoints.tokenizers import prefix_token, template_hash, tokenizer_hash
from pytest_lmeval.backends.openai import OpenAIOptions
from pytest_lmeval.backends.openai.asking import Local
from pytest_lmeval.backends.openai.capabilities import Capabilities
from pytest_lmeval.backends.openai.choices import ChoiceScorer
from pytest_lmeval.backends.openai.connection import Connection
from pytest_lmeval.backends.openai.prices import prices
from pytest_lmeval.backends.openai.probing import probe, refused
from pytest_lmeval.backends.openai.scoring import ServerScorer
from pytest_lmeval.backends.openai.serving import Served
from pytest_lmeval.backends.openai.tokenizing import SENTENCE, NoTexts, Texts, Tokenizing, find_tokenizer
from pytest_lmeval.backends.openai.writing import OFF, Writing, open_chooser, open_writing, scoring_name
from pytest_lmeval.backends.protocol import (
    Failure,
    GenerationAnswer,
    GenerationRequest,
    LoglikelihoodAnswer,
    LoglikelihoodRequest,
    ModelInfo,
    RollingAnswer,
    RollingRequest,
    Usage,
)
from pytest_lmeval.backends.text import loglikelihood, rolling
from pytest_lmeval.backends.text.chat import ChatTemplate
from pytest_lmeval.backends.text.encoding import Encoder, TokenizedModel
from pytest_lmeval.backends.text.endings import Endings
from pytest_lmeval.backends.text.windows import NewCharacters, continuation_length, text_length, windows
from pytest_lmeval.errors import BackendError, ModelSpecError

# Tokens to pull ahead; what connections are busy with is a small part of them.
WINDOW_TOKENS = 1 << 17

# Whose model it is, as vLLM's servers list it.
VLLM = "vllm"

# Where nobody says how much a model reads, the server does, by refusing what is too long.
NO_LIMIT = 10**9

Facts = dict[str, str | int | float | bool | None]


class OpenAIBackend:
    """Answers requests with a model that a server has."""

    def __init__(self, connection: Connection, served: Served, options: OpenAIOptions) -> None:
        self._connection: Connection | None = connection
        self._parts = Parts(connection, served, options)

    @property
    def info(self) -> ModelInfo:
        """What this model is and what was found out of its server so far."""
        return self._parts.info

    @property
    def usage(self) -> Usage:
        """What was used since it was opened, with its cost where there are prices."""
        usage, prices = self._parts.connection.usage, self._parts.prices
        return usage if prices is None else prices.priced(usage)

    def loglikelihood(self, requests: Iterator[LoglikelihoodRequest]) -> Iterator[LoglikelihoodAnswer | Failure]:
        """Score continuations after contexts, or choose where that was asked for.

        Raises ModelSpecError where the server cannot.
        """
        parts = self._open_parts
        if parts.options.choices != OFF:
            return parts.chooser.score(requests)
        scoring = parts.scoring
        pulled = windows(parts.chat.plain(requests), NewCharacters(continuation_length), lambda: WINDOW_TOKENS)
        pairs = loglikelihood.encoded(scoring.encoder, pulled)
        return loglikelihood.answers(scoring.scorer, chain.from_iterable(pairs))

    def loglikelihood_rolling(self, requests: Iterator[RollingRequest]) -> Iterator[RollingAnswer | Failure]:
        """Score whole texts, in the windows of the hf backend. Raises ModelSpecError where the server cannot."""
        parts, scoring = self._open_parts, self._open_parts.scoring
        pulled = windows(requests, text_length, lambda: WINDOW_TOKENS)
        spans = rolling.encoded(scoring.encoder, pulled, parts.options.stride)
        return rolling.answers(scoring.scorer, chain.from_iterable(spans))

    def generate_until(self, requests: Iterator[GenerationRequest]) -> Iterator[GenerationAnswer | Failure]:
        """Generate up to a stop string or a token limit."""
        return self._open_parts.writing.generator.generate(requests)

    def close(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    @property
    def _open_parts(self) -> Parts:
        if self._connection is None:
            raise BackendError(f"The connection to the model {self.info.name} is closed.")
        return self._parts


class Parts:
    """What works on the connection; found out when it is first needed."""

    def __init__(self, connection: Connection, served: Served, options: OpenAIOptions) -> None:
        self.connection = connection
        self.served = served
        self.options = options
        self.prices = prices(options.input_price, options.output_price, options.cached_price)

    @cached_property
    def tokenizing(self) -> Tokenizing:
        """The model's tokenizer. Raises ModelSpecError where there is none."""
        return find_tokenizer(self.connection, self.served, self.options)

    @cached_property
    def chat(self) -> ChatTemplate:
        """The tokenizer's template, for conversations that are rendered here."""
        return ChatTemplate(self.tokenizing.tokenizer, self.served.name, self.options.chat_template)

    @cached_property
    def scoring(self) -> Scoring:
        """What scores. Raises ModelSpecError where the server does not give log-probabilities of given tokens."""
        if self.options.choices != OFF:
            raise ModelSpecError(
                f"choices={self.options.choices} lets the model choose among options, and here are whole texts to "
                "score. Leave it out, or these tasks."
            )
        if self.options.endpoint == "chat":
            raise ModelSpecError(
                "endpoint=chat gives no log-probabilities of texts. Leave it out where the server has a completions "
                "endpoint; choices=letters asks a chat model to choose, which is another metric."
            )
        return Scoring(self)

    @cached_property
    def writing(self) -> Writing:
        """What generates. Raises ModelSpecError where the server does not write."""
        vllm = self.served.owner == VLLM
        return open_writing(self.connection, self.served.name, self.options, vllm=vllm, local=self.local)

    @cached_property
    def chooser(self) -> ChoiceScorer:
        """What chooses. Raises ModelSpecError where the server does not do what that takes."""
        offers = self.writing.offers
        return open_chooser(self.connection, self.served.name, self.options, offers)

    @property
    def local(self) -> Local | None:
        """The tokenizer for prompts and answers; generation can do without."""
        try:
            found = self.tokenizing
        except ModelSpecError:
            if self.options.tokenizer is not None or self.options.chat_template is not None:
                raise
            return None
        if found.remote:
            return None
        tokenizing = TokenizedModel(
            tokenizer=found.tokenizer,
            max_length=self.options.max_length or self.max_length or NO_LIMIT,
            prefix_token_id=prefix_token(self.served.name, found.tokenizer, self.options.prefix_token_id),
        )
        encoder = Encoder(tokenizing, self.options.add_bos_token)
        return Local(encoder=encoder, endings=Endings(found.tokenizer), template=self.chat)

    @property
    def max_length(self) -> int | None:
        """Tokens that the model reads and writes, where that is known so far."""
        tokenizing = self.__dict__.get("tokenizing")
        return self.served.max_length or (tokenizing.max_length if isinstance(tokenizing, Tokenizing) else None)

    @property
    def info(self) -> ModelInfo:
        """What is known so far."""
        scoring, tokenizing, writing, chooser = map(self.__dict__.get, ("scoring", "tokenizing", "writing", "chooser"))
        return ModelInfo(
            backend="openai",
            name=self.served.name,
            revision=self.options.revision,
            max_length=scoring.encoder.max_length if isinstance(scoring, Scoring) else self.max_length,
            scoring=scoring_name(self.options),
            details={
                "base_url": self.connection.base_url,
                **_known(owned_by=self.served.owner, root=self.served.root, stride=self.options.stride),
                **(_tokenizer_facts(tokenizing) if isinstance(tokenizing, Tokenizing) else {}),
                **(scoring.capabilities.details() if isinstance(scoring, Scoring) else {}),
                **(writing.details if isinstance(writing, Writing) else {}),
                **(chooser.details if isinstance(chooser, ChoiceScorer) else {}),
            },
        )


class Scoring:
    """The route that the server has, and the encoder that fits it."""

    def __init__(self, parts: Parts) -> None:
        tokenizer, options, served = parts.tokenizing.tokenizer, parts.options, parts.served
        texts = NoTexts() if parts.tokenizing.remote else Texts(tokenizer)
        tokens = tuple(tokenizer([SENTENCE], add_special_tokens=False)["input_ids"][0])
        self.capabilities: Capabilities = probe(parts.connection, served.name, tokens, texts)
        if self.capabilities.route is None:
            raise refused(served.name, parts.connection.base_url, self.capabilities)
        route = self.capabilities.build(parts.connection, served.name, texts)
        tokenizing = TokenizedModel(
            tokenizer=tokenizer,
            max_length=_reads(options, parts.max_length, route.beyond),
            prefix_token_id=prefix_token(served.name, tokenizer, options.prefix_token_id),
        )
        self.encoder = Encoder(tokenizing, options.add_bos_token)
        self.scorer = ServerScorer(parts.connection, route)


def _reads(options: OpenAIOptions, length: int | None, beyond: int) -> int:
    """Tokens that the model reads: of its length, all but those that a call has besides."""
    if length is None and options.max_length is None:
        raise ModelSpecError("The server does not say how many tokens the model reads. Give max_length=N.")
    limits = [options.max_length, None if length is None else length - beyond]
    return min(limit for limit in limits if limit is not None)


def _tokenizer_facts(found: Tokenizing) -> Facts:
    if found.remote:
        return {"tokenizer": "the server's"}
    sha256, template = tokenizer_hash(found.tokenizer), template_hash(found.tokenizer)
    return {"tokenizer": found.origin, "tokenizer_sha256": sha256, "chat_template_sha256": template}


def _known(**facts: Any) -> Facts:
    """What few models have is left out of the others' baselines."""
    return {key: value for key, value in facts.items() if value is not None}
