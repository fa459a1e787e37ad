"""The vllm backend: one model, or one adapter on it, behind the protocol."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_lmeval.backends.checkpoints.explaining import explained
from pytest_lmeval.backends.checkpoints.quiet import quiet
from pytest_lmeval.backends.checkpoints.source import check_folder, find
from pytest_lmeval.backends.checkpoints.tokenizers import load_tokenizer, prefix_token
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
from pytest_lmeval.backends.text import loglikelihood, rolling
from pytest_lmeval.backends.text.chat import ChatTemplate
from pytest_lmeval.backends.text.encoding import Encoder, TokenizedModel
from pytest_lmeval.backends.text.endings import Endings
from pytest_lmeval.backends.text.prefetching import prefetched
from pytest_lmeval.backends.text.prompting import encode
from pytest_lmeval.backends.text.windows import (
    NewCharacters,
    answer_length,
    continuation_length,
    text_length,
    windows,
)
from pytest_lmeval.backends.vllm import VLLMOptions
from pytest_lmeval.backends.vllm.opening import Running, run_engine
from pytest_lmeval.errors import BackendError, ModelSpecError

if TYPE_CHECKING:
    from pytest_lmeval.backends.vllm.adapters import Adapter

# Requests pulled ahead: enough for some steps of the engine.
WINDOW_STEPS = 8


class VLLMBackend:
    """Answers requests with a vLLM engine, which models that differ by their adapter alone share."""

    def __init__(self, running: Running, info: ModelInfo, parts: Parts) -> None:
        self._running: Running | None = running
        self._info = info
        self._parts = parts

    @property
    def info(self) -> ModelInfo:
        """What this model is and what it runs on."""
        return self._info

    def loglikelihood(self, requests: Iterator[LoglikelihoodRequest]) -> Iterator[LoglikelihoodAnswer | Failure]:
        """Score continuations after contexts."""
        parts = self._open_parts
        pulled = windows(parts.chat.plain(requests), NewCharacters(continuation_length), parts.window)
        return loglikelihood.answers(parts.scorer, chain.from_iterable(loglikelihood.encoded(parts.encoder, pulled)))

    def loglikelihood_rolling(self, requests: Iterator[RollingRequest]) -> Iterator[RollingAnswer | Failure]:
        """Score whole texts, in the windows of the hf backend."""
        parts = self._open_parts
        pulled = windows(requests, text_length, parts.window)
        spans = rolling.encoded(parts.encoder, pulled, parts.stride)
        return rolling.answers(parts.rolling_scorer, chain.from_iterable(spans))

    def generate_until(self, requests: Iterator[GenerationRequest]) -> Iterator[GenerationAnswer | Failure]:
        """Generate up to a stop string or a token limit."""
        parts = self._open_parts
        pulled = windows(parts.chat.plain(requests), NewCharacters(answer_length), parts.window)
        encoded = prefetched(pulled, lambda window: encode(parts.encoder, window))
        return parts.generator.generate(chain.from_iterable(prompts for _, prompts in encoded))

    def close(self) -> None:
        """Let go of the engine; its last model stops it."""
        running, self._running = self._running, None
        if running is not None:
            running.release()

    @property
    def _open_parts(self) -> Parts:
        if self._running is None:
            raise BackendError(f"The model {self._info.name} is closed.")
        return self._parts


class Parts:
    """What works on the running engine."""

    def __init__(
        self, running: Running, tokenizing: TokenizedModel, options: VLLMOptions, name: str, adapter: Adapter | None
    ) -> None:
        from pytest_lmeval.backends.vllm.generating import EngineGenerator
        from pytest_lmeval.backends.vllm.scoring import EngineScorer

        engine = running.engine
        model = engine.config.model_config
        self.stride = options.stride
        self.encoder = Encoder(tokenizing, options.add_bos_token)
        self.chat = ChatTemplate(tokenizing.tokenizer, name, options.chat_template)
        lora, by_row = (None, False) if adapter is None else (adapter.request(), adapter.changes_logits)
        self.scorer = EngineScorer(engine, lora, by_row=by_row)
        self.rolling_scorer = EngineScorer(engine, lora, by_row=by_row, greedy=False)
        endings = Endings(tokenizing.tokenizer, model.try_get_generation_config().get("eos_token_id"))
        self.generator = EngineGenerator(engine, endings, model.get_diff_sampling_param(), lora)
        self._tokens: int = WINDOW_STEPS * engine.config.scheduler_config.max_num_batched_tokens

    def window(self) -> int:
        """Tokens to pull ahead."""
        return self._tokens


def open_model(name: str, options: VLLMOptions) -> VLLMBackend:
    """Open the model called ``name``. Raises ModelSpecError for what the user can mend, BackendError otherwise."""
    if options.stride is not None and options.stride < 1:
        raise ModelSpecError(f"stride={options.stride} cannot be used. Give a whole number of 1 or more.")
    source = find(name, revision=options.revision)
    check_folder(source)
    with quiet(), explained(name, source):
        tokenizer = load_tokenizer(source, options)
    prefix = prefix_token(name, tokenizer, options.prefix_token_id)
    adapter = None
    if options.lora is not None:
        from pytest_lmeval.backends.vllm.adapters import read_adapter

        adapter = read_adapter(options.lora)
    place = source.location if source.gguf_file is None else str(Path(source.location) / source.gguf_file)
    running = run_engine(place, options, adapter)
    tokenizing = TokenizedModel(tokenizer=tokenizer, max_length=running.max_length, prefix_token_id=prefix)
    try:
        from pytest_lmeval.backends.vllm.provenance import describe

        info = describe(name, running.engine, tokenizer, options, running.max_length, adapter)
        parts = Parts(running, tokenizing, options, name, adapter)
    except BaseException:
        running.release()
        raise
    return VLLMBackend(running, info, parts)
