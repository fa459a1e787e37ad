"""Text up to a stop string or a token limit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import count, groupby
from typing import Any

import torch
from transformers import StoppingCriteriaList

from pytest_lmeval.backends.hf.batching import Limits, run_batches, windows
from pytest_lmeval.backends.hf.encoding import Encoder
from pytest_lmeval.backends.hf.model import Loaded
from pytest_lmeval.backends.hf.quiet import quiet
from pytest_lmeval.backends.hf.stopping import StopAtText, cut
from pytest_lmeval.backends.protocol import Failure, GenerationAnswer, GenerationRequest, GenerationSettings

Reply = GenerationAnswer | Failure

# Sampling without a seed is reproducible all the same: a regression test that rolls dice is no test.
DEFAULT_SEED = 1234


@dataclass(frozen=True, slots=True)
class _Prompt:
    request: GenerationRequest
    tokens: tuple[int, ...]

    @property
    def length(self) -> int:
        """Tokens that the row takes up when it is finished."""
        return len(self.tokens) + self.request.settings.max_tokens

    @property
    def outputs(self) -> int:
        return 1

    @property
    def group(self) -> str:
        """Prompts of one group may share a batch: all settings but the stop strings are equal."""
        return repr(replace(self.request.settings, until=()))


class Generator:
    """Generates on one model, in batches."""

    def __init__(self, loaded: Loaded, encoder: Encoder, limits: Limits) -> None:
        self._model = loaded.model
        self._tokenizer = loaded.tokenizer
        self._device = loaded.device
        self._encoder = encoder
        self._limits = limits
        self._ends = _end_tokens(loaded)
        self._pad = _pad_token(loaded)
        eos = loaded.tokenizer.eos_token_id
        self._end_text: str | None = None if eos is None else loaded.tokenizer.decode([eos])

    def generate(self, requests: Iterator[GenerationRequest]) -> Iterator[Reply]:
        """Answer ``requests``, window by window, each as soon as its batch has run."""
        batches = count()
        for window in windows(requests, _characters, self._limits):
            prompts: list[_Prompt] = []
            for prompt in self._prompts(window):
                if isinstance(prompt, Failure):
                    yield prompt
                else:
                    prompts.append(prompt)
            prompts.sort(key=lambda prompt: (prompt.group, -len(prompt.tokens), str(prompt.request.context)))
            for _, group in groupby(prompts, key=lambda prompt: prompt.group):
                yield from self._generate_group(list(group), batches)

    def _prompts(self, window: Sequence[GenerationRequest]) -> Iterator[_Prompt | Failure]:
        encoded = self._encoder.prompts(str(request.context) for request in window)
        for request in window:
            wanted, limit = request.settings.max_tokens, self._encoder.max_length
            if wanted < 1:
                yield Failure(id=request.id, error=f"max_tokens is {wanted}; it must be 1 at least.")
            elif wanted >= limit:
                yield Failure(id=request.id, error=_no_room(wanted, limit))
            else:
                # Too long a prompt loses its beginning: the end is what is to be continued.
                yield _Prompt(request, tuple(encoded[str(request.context)][wanted - limit :]))

    def _generate_group(self, prompts: list[_Prompt], batches: Iterator[int]) -> Iterator[Reply]:
        run = partial(self._run, batches=batches)
        for prompt, answer in run_batches(prompts, self._limits, run):
            if answer is None:
                error = f"The device has too little memory for this request alone ({prompt.length} tokens)."
                yield Failure(id=prompt.request.id, error=error)
            else:
                yield answer

    def _run(self, prompts: list[_Prompt], batches: Iterator[int]) -> list[GenerationAnswer]:
        settings = prompts[0].request.settings
        inputs, mask = _pad_left([prompt.tokens for prompt in prompts], self._pad)
        stops = [self._stops(prompt) for prompt in prompts]
        with torch.inference_mode(), quiet(), _seeded(settings, next(batches), self._device):
            output = self._model.generate(
                input_ids=inputs.to(self._device),
                attention_mask=mask.to(self._device),
                max_new_tokens=settings.max_tokens,
                stopping_criteria=StoppingCriteriaList([StopAtText(self._tokenizer, stops, inputs.shape[1])]),
                eos_token_id=self._ends or None,
                pad_token_id=self._pad,
                use_cache=True,
                **_sampling(settings),
                **dict(settings.extra),
            )
        # With num_return_sequences among the extra arguments, the first of each prompt's is its answer.
        written = output[:: len(output) // len(prompts), inputs.shape[1] :].tolist()
        return [self._answer(*row) for row in zip(prompts, written, stops, strict=True)]

    def _answer(self, prompt: _Prompt, tokens: list[int], stops: Sequence[str]) -> GenerationAnswer:
        end = next((place for place, token in enumerate(tokens) if token in self._ends), None)
        text, used = cut(self._tokenizer, tokens[:end], stops)
        return GenerationAnswer(id=prompt.request.id, text=text, tokens=len(prompt.tokens) + used)

    def _stops(self, prompt: _Prompt) -> list[str]:
        """Return the request's stop strings and the end token's text, which a model may also spell out."""
        stops = [*prompt.request.settings.until, self._end_text]
        return [stop for stop in stops if stop]


def _end_tokens(loaded: Loaded) -> list[int]:
    """Tokens that end any answer: the tokenizer's EOS and those that the model's own settings name."""
    configured = getattr(getattr(loaded.model, "generation_config", None), "eos_token_id", None)
    configured = configured if isinstance(configured, list) else [configured]
    return sorted({token for token in (*configured, loaded.tokenizer.eos_token_id) if token is not None})


def _pad_token(loaded: Loaded) -> int:
    tokenizer = loaded.tokenizer
    candidates = (tokenizer.pad_token_id, tokenizer.eos_token_id, loaded.prefix_token_id)
    return next(int(token) for token in candidates if token is not None)


def _sampling(settings: GenerationSettings) -> dict[str, Any]:
    """Arguments of ``model.generate``. Sampling at temperature 0 is what it converges to: greedy."""
    if not settings.do_sample or settings.temperature <= 0:
        # None takes back what the model's own settings say, and with it a warning about each.
        return {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}
    given = {"temperature": settings.temperature, "top_p": settings.top_p, "top_k": settings.top_k}
    return {"do_sample": True} | {key: value for key, value in given.items() if value is not None}


@contextmanager
def _seeded(settings: GenerationSettings, batch: int, device: torch.device) -> Iterator[None]:
    """Seed this batch on its own, and leave the process's random state as it was.

    The batch's number is part of the seed: a prompt that is repeated must not repeat its answer.
    """
    if not settings.do_sample:
        yield
        return
    seed = DEFAULT_SEED if settings.seed is None else settings.seed
    metal = torch.mps.get_rng_state() if device.type == "mps" else None
    # manual_seed seeds every device there is, so all of them are put back.
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed * 1_000_003 + batch)
        yield
    if metal is not None:
        torch.mps.set_rng_state(metal)


def _pad_left(sequences: Sequence[tuple[int, ...]], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens and attention mask. New tokens follow at the right, so padding goes to the left."""
    longest = max(map(len, sequences))
    inputs = [(pad,) * (longest - len(sequence)) + sequence for sequence in sequences]
    mask = [(0,) * (longest - len(sequence)) + (1,) * len(sequence) for sequence in sequences]
    return torch.tensor(inputs), torch.tensor(mask)


def _no_room(wanted: int, limit: int) -> str:
    return (
        f"max_tokens is {wanted} and the model reads {limit} tokens at most, so there is no room for a prompt. "
        "Lower max_gen_toks."
    )


def _characters(request: GenerationRequest) -> int:
    # Room for the new tokens counts as well, in the unit of the estimate.
    return len(str(request.context)) + 4 * request.settings.max_tokens
