"""The next token of each text, from logits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import LogitsProcessorList, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from pytest_lmeval.backends.text.encoding import Tokens
from pytest_lmeval.backends.text.seeds import seed_of


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to draw: at ``temperature``, among the ``top_k`` best (0: all), among the best that make up ``top_p``."""

    temperature: float
    top_k: int
    top_p: float

    def probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        """Return rows x vocabulary; the order of the steps is that of ``generate``."""
        steps = LogitsProcessorList([TemperatureLogitsWarper(self.temperature)])
        if self.top_k > 0:
            steps.append(TopKLogitsWarper(self.top_k))
        if self.top_p < 1:
            steps.append(TopPLogitsWarper(self.top_p))
        # The steps look at logits alone; texts are for those that punish repetition.
        return torch.softmax(steps(None, logits), dim=-1)


@dataclass(frozen=True, slots=True)
class Draw:
    """How one text draws, and the generator that is its own: what it draws does not depend on its neighbours."""

    sampling: Sampling
    generator: torch.Generator


def generator(seed: int | None, prompt: Tokens, occurrence: int, device: torch.device) -> torch.Generator:
    """Return a text's own generator. The ``occurrence`` of a prompt counts: a repeat is not to repeat its answer."""
    return torch.Generator(device=device).manual_seed(seed_of(seed, prompt, occurrence))


def choose(logits: torch.Tensor, draws: Sequence[Draw | None]) -> list[int]:
    """Return a token per row of ``logits``: the most probable one, of equals the first, or a drawn one."""
    tokens: list[int] = logits.argmax(dim=-1).tolist()
    for sampling in {draw.sampling for draw in draws if draw is not None}:
        rows = [row for row, draw in enumerate(draws) if draw is not None and draw.sampling == sampling]
        for row, weights in zip(rows, sampling.probabilities(logits[rows]), strict=True):
            draw = draws[row]
            assert draw is not None
            tokens[row] = int(torch.multinomial(weights, 1, generator=draw.generator))
    return tokens
