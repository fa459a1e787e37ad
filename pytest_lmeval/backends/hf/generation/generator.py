"""Text up to a stop string or a token limit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import count
from typing import Any

from pytest_lmeval.backends.hf.batching import Limits
from pytest_lmeval.backends.hf.generation.plain import PlainGenerator
from pytest_lmeval.backends.hf.generation.sampling import Draw, Sampling, generator
from pytest_lmeval.backends.hf.generation.writing import Draft, Writer
from pytest_lmeval.backends.hf.model import Loaded
from pytest_lmeval.backends.hf.scoring.too_large import too_large
from pytest_lmeval.backends.protocol import Failure, GenerationAnswer, GenerationRequest, GenerationSettings
from pytest_lmeval.backends.text.encoding import Encoder
from pytest_lmeval.backends.text.endings import Endings
from pytest_lmeval.backends.text.prefetching import prefetched
from pytest_lmeval.backends.text.prompting import Prompt, encode
from pytest_lmeval.backends.text.windows import NewCharacters, answer_length, windows

Reply = GenerationAnswer | Failure

# What a model's own generation settings may say and the writer follows or has no use for. Anything else is left to
# ``generate``.
UNDERSTOOD = {
    "bos_token_id", "eos_token_id", "pad_token_id", "do_sample", "temperature", "top_p", "top_k", "max_length",
    "max_new_tokens", "use_cache", "output_attentions", "output_hidden_states", "transformers_version",
    "_from_model_config", "trust_remote_code", "cache_implementation",
}  # fmt: skip

# transformers' default for a model whose settings do not say.
TOP_K = 50


class Generator:
    """Generates on one model: token by token in a batch that refills, or by ``generate`` what that cannot do."""

    def __init__(
        self, loaded: Loaded, encoder: Encoder, limits: Limits, plain: PlainGenerator, endings: Endings
    ) -> None:
        self._encoder = encoder
        self._limits = limits
        self._plain = plain
        self._endings = endings
        self._device = loaded.device
        self._own = getattr(loaded.model, "generation_config", None)

    def generate(self, writer: Writer | None, requests: Iterator[GenerationRequest]) -> Iterator[Reply]:
        """Answer ``requests``, each as soon as it is written; without a ``writer`` all by ``generate``."""
        under_way: dict[int, Prompt] = {}
        numbers, asked = count(), Counter[tuple[object, ...]]()
        for _, prompts in prefetched(
            windows(requests, NewCharacters(answer_length), self._limits.window), self._encode
        ):
            yield from (prompt for prompt in prompts if isinstance(prompt, Failure))
            good = [prompt for prompt in prompts if isinstance(prompt, Prompt)]
            special = [prompt for prompt in good if writer is None or not self._understood(prompt.settings)]
            yield from self._plain.answer(special)
            if writer is None:
                continue
            added = {next(numbers): prompt for prompt in good if prompt not in special}
            under_way |= added
            writer.add([self._draft(number, prompt, asked) for number, prompt in added.items()])
            while writer.busy and not writer.hungry:
                yield from self._advance(writer, under_way)
        while writer is not None and writer.busy:
            yield from self._advance(writer, under_way)

    def _encode(self, window: list[GenerationRequest]) -> list[Prompt | Failure]:
        return encode(self._encoder, window)

    def _advance(self, writer: Writer, under_way: dict[int, Prompt]) -> Iterator[Reply]:
        for draft, finished in writer.advance():
            prompt = under_way.pop(draft.number)
            if finished:
                yield self._endings.answer(prompt, draft.written)
            else:
                yield Failure(id=prompt.request.id, error=too_large(prompt.length))

    def _draft(self, number: int, prompt: Prompt, asked: Counter[tuple[object, ...]]) -> Draft:
        settings = prompt.settings
        draft = Draft(number, prompt.tokens, settings.max_tokens, self._endings.follow(settings))
        if settings.do_sample and settings.temperature > 0:
            key = (prompt.tokens, settings.seed)
            draft.draw = Draw(
                self._sampling(settings), generator(settings.seed, prompt.tokens, asked[key], self._device)
            )
            asked[key] += 1
        return draft

    def _sampling(self, settings: GenerationSettings) -> Sampling:
        """What the request leaves open is the model's to say, and then transformers'."""
        top_k = settings.top_k if settings.top_k is not None else getattr(self._own, "top_k", None)
        top_p = settings.top_p if settings.top_p is not None else getattr(self._own, "top_p", None)
        return Sampling(settings.temperature, TOP_K if top_k is None else top_k, 1.0 if top_p is None else top_p)

    def _understood(self, settings: GenerationSettings) -> bool:
        """Whether nothing is asked, by the request or by the model's own settings, that only ``generate`` does."""
        own: dict[str, Any] = {} if self._own is None else self._own.to_diff_dict()
        return not settings.extra and not {key for key, value in own.items() if value is not None} - UNDERSTOOD
