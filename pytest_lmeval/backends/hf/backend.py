"""The hf backend: one loaded model behind the protocol."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import torch

from pytest_lmeval.backends.hf import HFOptions
from pytest_lmeval.backends.hf.batching import (
    BATCH_LOGITS,
    PLAIN_TOKENS,
    SHARED_TOKENS,
    WRITE_TOKENS,
    Limits,
    busy,
    free_memory,
)
from pytest_lmeval.backends.hf.generation.generator import Generator
from pytest_lmeval.backends.hf.generation.plain import PlainGenerator
from pytest_lmeval.backends.hf.generation.seq2seq import PairGenerator
from pytest_lmeval.backends.hf.generation.writing import Writer
from pytest_lmeval.backends.hf.heap import keep_freed_memory, release_freed_memory
from pytest_lmeval.backends.hf.memory import Memory, Meter
from pytest_lmeval.backends.hf.model import Loaded
from pytest_lmeval.backends.hf.scoring.deterministic import FIXED_TOKENS, details, deterministic_scorer
from pytest_lmeval.backends.hf.scoring.loglikelihood import loglikelihood
from pytest_lmeval.backends.hf.scoring.packs import Packs
from pytest_lmeval.backends.hf.scoring.plain import PlainScorer
from pytest_lmeval.backends.hf.scoring.probe import Verdict, probe
from pytest_lmeval.backends.hf.scoring.projection import TILE_LOGITS
from pytest_lmeval.backends.hf.scoring.rolling import loglikelihood_rolling
from pytest_lmeval.backends.hf.scoring.seq2seq import PairEncoder, PairScorer, is_encoder_decoder
from pytest_lmeval.backends.hf.scoring.sharing import SharedScorer
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
from pytest_lmeval.backends.text.chat import ChatTemplate
from pytest_lmeval.backends.text.encoding import Encoder
from pytest_lmeval.backends.text.endings import Endings
from pytest_lmeval.backends.text.scores import Scorer
from pytest_lmeval.errors import BackendError


class HFBackend:
    """Answers requests with a transformers model in this process."""

    def __init__(self, loaded: Loaded, options: HFOptions) -> None:
        if loaded.device.type == "cpu":
            keep_freed_memory()
        self._parts: _Parts | None = _Parts(loaded, options)
        self._info = replace(loaded.info, details={**loaded.info.details, **self._parts.details})

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
        self.details: Mapping[str, str | int | bool] = {}
        sizes = _Sizes.of(loaded, options)
        self.stride = options.stride
        self.scorer: Scorer
        paired = is_encoder_decoder(loaded.model)
        self.encoder = (PairEncoder if paired else Encoder)(loaded, options.add_bos_token)
        self.chat = ChatTemplate(loaded.tokenizer, loaded.info.name, options.chat_template)
        self.limits = sizes.padded()
        verdict = sharing(loaded, options)
        if options.deterministic:
            self.limits = sizes.fixed()
            self.scorer, name = deterministic_scorer(loaded, verdict.outputs, self.limits)
            self.details = details(name, self.limits)
        elif paired:
            self.scorer = PairScorer(loaded, self.limits)
        elif verdict.outputs is None:
            self.scorer = PlainScorer(loaded, self.limits)
        else:
            self.limits = sizes.packed()
            outputs = replace(verdict.outputs, projection=verdict.outputs.projection.bounded(sizes.tile))
            self.scorer = SharedScorer(Packs(loaded, outputs), self.limits, meter=sizes.meter)
        writing = sizes.written()
        if options.deterministic:
            writing.rows = 1
        endings = Endings(
            loaded.tokenizer, getattr(getattr(loaded.model, "generation_config", None), "eos_token_id", None)
        )
        plain = (PairGenerator if paired else PlainGenerator)(loaded, writing, endings)
        self.generator = Generator(loaded, self.encoder, writing, plain, endings)
        self._writing, self._outputs, self._loaded = writing, verdict.outputs, loaded
        self._share = not options.deterministic

    def writer(self) -> Writer | None:
        """Return a writer for a stream of its own, None for a model that only ``generate`` can run."""
        if self._outputs is None:
            return None
        return Writer(self._loaded, self._writing, replace(self.limits), self._outputs, share=self._share)


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


@dataclass(frozen=True, slots=True)
class _Sizes:
    """How large batches may be: what keeps the device busy, as far as its memory allows; the user's figures win."""

    options: HFOptions
    device: torch.device
    memory: Memory
    vocabulary: int

    @classmethod
    def of(cls, loaded: Loaded, options: HFOptions) -> _Sizes:
        config = getattr(loaded.model.config, "text_config", None) or loaded.model.config
        memory = Memory.of(loaded.model, loaded.max_length)
        return cls(options, loaded.device, memory, int(getattr(config, "vocab_size", 0)))

    def padded(self) -> Limits:
        return self._limits(self.memory.padded(busy(PLAIN_TOKENS, self.device.type)))

    def packed(self) -> Limits:
        return self._limits(self.memory.packed(busy(SHARED_TOKENS, self.device.type)))

    def fixed(self) -> Limits:
        """The same on every machine: numbers depend on it."""
        kind = self.device.type
        return Limits.choose(self.options, busy(FIXED_TOKENS, kind), busy(BATCH_LOGITS, kind), self.vocabulary)

    def written(self) -> Limits:
        return self._limits(self.memory.written(busy(WRITE_TOKENS, self.device.type)))

    @property
    def tile(self) -> int:
        """Logits that are reduced at a time."""
        return self.memory.logits(busy(TILE_LOGITS, self.device.type))

    @property
    def meter(self) -> Meter | None:
        """What corrects the tokens of packs, None where they are the user's."""
        if self.options.batch_tokens is not None:
            return None
        return Meter(self.device, self.memory, busy(SHARED_TOKENS, self.device.type))

    def _limits(self, tokens: int) -> Limits:
        logits = self.memory.logits(busy(BATCH_LOGITS, self.device.type))
        return Limits.choose(self.options, tokens, logits, self.vocabulary)
