"""What an encoder-decoder model writes about a prompt that its encoder has read."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from pytest_lmeval.backends.hf.generation.plain import PlainGenerator
from pytest_lmeval.backends.hf.scoring.seq2seq import pad_right
from pytest_lmeval.backends.text.encoding import Tokens


class PairGenerator(PlainGenerator):
    """Generates on one encoder-decoder model, in batches.

    Unlike in the reference, which adds the prompt's length to ``max_gen_toks``, an answer has at most as many tokens
    as were asked for.
    """

    def _padded(self, prompts: Sequence[Tokens]) -> tuple[torch.Tensor, torch.Tensor]:
        """Pad at the end: the decoder starts anew, and an encoder may number its positions."""
        return pad_right(prompts, self._pad)

    def _start(self, inputs: torch.Tensor) -> int:
        """Count the decoder's one token to start with, which is no part of the answer."""
        return 1
