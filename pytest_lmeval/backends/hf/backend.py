"""The hf backend: one loaded model behind the protocol."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from pytest_lmeval.backends.hf import HFOptions
from pytest_lmeval.backends.hf.batching import PLAIN_TOKENS, SHARED_TOKENS, WRITE_TOKENS, Limits, free_memory
from pytest_lmeval.backends.hf.chat import ChatTemplate
from pytest_lmeval.backends.hf.encoding import Encoder
from pytest_lmeval.backends.hf.endings import Endings
from pytest_lmeval.backends.hf.generation import Generator
from pytest_lmeval.backends.hf.heap import keep_freed_memory, release_freed_memory
from pytest_lmeval.backends.hf.loglikelihood import loglikelihood
from pytest_lmeval.backends.hf.model import Loaded
from pytest_lmeval.backends.hf.plain import PlainScorer
from pytest_lmeval.backends.hf.plain_generation import PlainGenerator
from pytest_lmeval.backends.hf.probe import Verdict, probe
from pytest_lmeval.backends.hf.rolling import loglikelihood_rolling
from pytest_lmeval.backends.hf.scoring import Scorer
from pytest_lmeval.backends.hf.seq2seq import PairEncoder, PairScorer, is_encoder_decoder
from pytest_lmeval.backends.hf.seq2seq_generation import PairGenerator
from pytest_lmeval.backends.hf.sharing import SharedScorer
from pytest_lmeval.backends.hf.writing import Writer
from pytest_lmeval.backends.protocol import (
    Failure,
    GenerationAnswer,
    GenerationRequest,
    LoglikelihoodAnswer,
    LoglikelihoodRequest,
    ModelInfo,
    RollingAnswer,
    RollingRequest,
)
from pytest_lmeval.errors import BackendError


class HFBackend:
    """Answers requests with a transformers model in this process."""

    def __init__(self, loaded: Loaded, options: HFOptions) -> None:
        self._info = loaded.info
        if loaded.device.type == "cpu":
            keep_freed_memory()
        self._parts: _Parts | None = _Parts(loaded, options)

    @property
    def info(self) -> ModelInfo:
        """What this model is and what it runs on."""
        return self._info

    def loglikelihood(self, requests: Iterator[LoglikelihoodRequest]) -> Iterator[LoglikelihoodAnswer | Failure]:
        """Score continuations after contexts."""
        parts = self._open_parts
        return loglikelihood(parts.encoder, parts.scorer, parts.limits, parts.chat.plain(requests))

    def loglikelihood_rolling(self, requests: Iterator[RollingRequest]) -> Iterator[RollingAnswer | Failure]:
        """Score whole texts."""
        parts = self._open_parts
        return loglikelihood_rolling(parts.encoder, parts.scorer, parts.limits, requests, parts.stride)

    def generate_until(self, requests: Iterator[GenerationRequest]) -> Iterator[GenerationAnswer | Failure]:
        """Generate up to a stop string or a token limit."""
        parts = self._open_parts
        return parts.generator.generate(parts.writer(), parts.chat.plain(requests))

    def close(self) -> None:
        """Free the model's memory."""
        self._parts = None
        free_memory()
        release_freed_memory()

    @property
    def _open_parts(self) -> _Parts:
        if self._parts is None:
            raise BackendError(f"The model {self._info.name} is closed.")
        return self._parts


class _Parts:
    """What works on the loaded model; dropped as a whole to free it.

    Generation has limits of its own: memory that is too small for its kept keys and values says little about
    scoring.
    """

    def __init__(self, loaded: Loaded, options: HFOptions) -> None:
        device, vocabulary = loaded.device.type, _vocabulary(loaded.model)
        self.stride = options.stride
        paired = is_encoder_decoder(loaded.model)
        self.encoder = (PairEncoder if paired else Encoder)(loaded, options.add_bos_token)
        self.chat = ChatTemplate(loaded.tokenizer, loaded.info.name, options.chat_template)
        self.limits = Limits.choose(options, PLAIN_TOKENS, device, vocabulary)
        verdict = sharing(loaded, options)
        if paired:
            self.scorer: Scorer = PairScorer(loaded, self.limits)
        elif verdict.outputs is None:
            self.scorer = PlainScorer(loaded, self.limits)
        else:
            self.limits = Limits.choose(options, SHARED_TOKENS, device, vocabulary)
            self.scorer = SharedScorer(loaded, self.limits, verdict.outputs)
        writing = Limits.choose(options, WRITE_TOKENS, device, vocabulary)
        endings = Endings(loaded)
        plain = (PairGenerator if paired else PlainGenerator)(loaded, writing, endings)
        self.generator = Generator(loaded, self.encoder, writing, plain, endings)
        self._writing, self._outputs, self._loaded = writing, verdict.outputs, loaded

    def writer(self) -> Writer | None:
        """Return a writer for a stream of its own, None for a model that only ``generate`` can run."""
        if self._outputs is None:
            return None
        return Writer(self._loaded, self._writing, replace(self.limits), self._outputs)


def sharing(loaded: Loaded, options: HFOptions) -> Verdict:
    """Whether prefixes can be shared; where they cannot, and nobody asked for it, that is said."""
    if options.attn_implementation is not None:
        return Verdict(None, f"attn_implementation={options.attn_implementation} was asked for")
    paired = is_encoder_decoder(loaded.model)
    verdict = Verdict(None, "it is an encoder-decoder model") if paired else probe(loaded.model, loaded.max_length)
    if verdict.outputs is None:
        warnings.warn(
            f"{loaded.info.name} runs in plain batches, which read what texts have in common again and again: "
            f"{verdict.reason}",
            stacklevel=2,
        )
    return verdict


def _vocabulary(model: Any) -> int:
    config = getattr(model.config, "text_config", None) or model.config
    return int(getattr(config, "vocab_size", 0))
