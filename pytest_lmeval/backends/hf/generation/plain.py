"""Generation by transformers' own ``generate``: all that it can do, in padded batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count, groupby
from typing import Any

import torch
from transformers import StoppingCriteriaList

from pytest_lmeval.backends.checkpoints.quiet import quiet
from pytest_lmeval.backends.hf.batching import Limits, run_batches
from pytest_lmeval.backends.hf.generation.stopping import StopAtText
from pytest_lmeval.backends.hf.model import Loaded
from pytest_lmeval.backends.hf.scoring.too_large import too_large
from pytest_lmeval.backends.protocol import Failure, GenerationAnswer, GenerationSettings
from pytest_lmeval.backends.text.encoding import Tokens
from pytest_lmeval.backends.text.endings import Endings
from pytest_lmeval.backends.text.prompting import Prompt
from pytest_lmeval.backends.text.seeds import DEFAULT_SEED


class PlainGenerator:
    """Generates on one model through its ``generate``, in padded batches that end with their slowest row."""

    def __init__(self, loaded: Loaded, limits: Limits, endings: Endings) -> None:
        self._model = loaded.model
        self._tokenizer = loaded.tokenizer
        self._device = loaded.device
        self._limits = limits
        self._endings = endings
        self._pad = _pad_token(loaded)
        self._batches = count()

    def answer(self, prompts: Iterable[Prompt]) -> Iterator[GenerationAnswer | Failure]:
        """Answer prompts, each as soon as its batch has run."""
        ordered = sorted(prompts, key=lambda prompt: (prompt.group, -len(prompt.tokens), str(prompt.request.context)))
        for _, group in groupby(ordered, key=lambda prompt: prompt.group):
            yield from self._generate_group(list(group))

    def _generate_group(self, prompts: list[Prompt]) -> Iterator[GenerationAnswer | Failure]:
        for prompt, answer in run_batches(prompts, self._limits, self._run):
            if answer is None:
                yield Failure(id=prompt.request.id, error=too_large(prompt.length))
            else:
                yield answer

    def _run(self, prompts: list[Prompt]) -> list[GenerationAnswer]:
        settings = prompts[0].request.settings
        inputs, mask = self._padded([prompt.tokens for prompt in prompts])
        start = self._start(inputs)
        stops = [self._endings.stops(prompt.settings) for prompt in prompts]
        with torch.inference_mode(), quiet(), _seeded(settings, next(self._batches), self._device):
            output = self._model.generate(
                input_ids=inputs.to(self._device),
                attention_mask=mask.to(self._device),
                max_new_tokens=settings.max_tokens,
                stopping_criteria=StoppingCriteriaList([StopAtText(self._tokenizer, stops, start)]),
                eos_token_id=self._endings.tokens or None,
                pad_token_id=self._pad,
                use_cache=True,
                **_sampling(settings),
                **dict(settings.extra),
            )
        # With num_return_sequences among the extra arguments, the first of each prompt's is its answer.
        written = output[:: len(output) // len(prompts), start:].tolist()
        return [self._endings.answer(prompt, tokens) for prompt, tokens in zip(prompts, written, strict=True)]

    def _padded(self, prompts: Sequence[Tokens]) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens and attention mask. New tokens follow at the right, so padding goes to the left."""
        longest = max(map(len, prompts))
        inputs = [(self._pad,) * (longest - len(prompt)) + prompt for prompt in prompts]
        mask = [(0,) * (longest - len(prompt)) + (1,) * len(prompt) for prompt in prompts]
        return torch.tensor(inputs), torch.tensor(mask)

    def _start(self, inputs: torch.Tensor) -> int:
        """Where in a row of output the answer begins."""
        return inputs.shape[1]


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
