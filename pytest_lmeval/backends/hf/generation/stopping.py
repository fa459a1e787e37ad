"""Stop strings for ``generate``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import StoppingCriteria

from pytest_lmeval.backends.text.stopping import contains


class StopAtText(StoppingCriteria):  # type: ignore[misc]  # transformers is not checked
    """Ends each row at its own stop strings, as found in the decoded text, special tokens included.

    It keeps no state between steps, so rows may change places under it (beam search).
    """

    def __init__(self, tokenizer: Any, stops: Sequence[Sequence[str]], prompt_length: int) -> None:
        self._tokenizer = tokenizer
        self._stops = stops
        self._prompt_length = prompt_length
        # A token is a byte at least, so this many of the last tokens hold a stop string that has just been
        # completed. Some more, because decoders treat the first token of a text differently.
        longest = max((len(stop.encode()) for row in stops for stop in row), default=0)
        self._lookback = longest + 4

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        """Say for each row whether it is done."""
        written = input_ids[:, self._prompt_length :]
        tails = self._tokenizer.batch_decode(written[:, -self._lookback :])
        rows_per_prompt = len(tails) // len(self._stops)
        done = [
            contains(tail, stops := self._stops[row // rows_per_prompt])
            # Confirmed on everything written: a decoder may show a part differently on its own.
            and contains(self._tokenizer.decode(written[row].tolist()), stops)
            for row, tail in enumerate(tails)
        ]
        return torch.tensor(done, dtype=torch.bool, device=input_ids.device)
