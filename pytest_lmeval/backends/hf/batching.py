"""From a stream of requests to batches that fit the memory."""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch

from pytest_lmeval.backends.hf import HFOptions
from pytest_lmeval.errors import BackendError

# Requests pulled before the first batch runs: enough for batches of rows of equal length, few enough that a
# test which stops early has not made the model work for long.
WINDOW_BATCHES = 8

# Tokens per batch that keep a device busy. Where prefixes are shared there is no padding; where they are not, it
# counts. A CPU is busy with few when it reads: measured, a pack of 1,024 is as fast as one of 2,048, and padded
# batches of 512 are a quarter faster than of 2,048. When it writes, each step is one token per row, and only many rows
# make it worth while.
SHARED_TOKENS = {"cuda": 16_384, "mps": 4_096, "cpu": 1_024}
PLAIN_TOKENS = {"cuda": 16_384, "mps": 4_096, "cpu": 512}
WRITE_TOKENS = {"cuda": 32_768, "mps": 8_192, "cpu": 8_192}

# Logits in a batch (rows x positions x vocabulary), in numbers of 4 bytes.
BATCH_LOGITS = {"cuda": 2**30, "mps": 2**28, "cpu": 2**27}


def busy(table: Mapping[str, int], device: str) -> int:
    """What keeps this kind of device busy."""
    return table.get(device, table["cpu"])


T = TypeVar("T")
R = TypeVar("R")


class Sized(Protocol):
    """A row of a batch: the tokens it takes up and the positions whose logits are wanted."""

    @property
    def length(self) -> int:
        """Tokens."""

    @property
    def outputs(self) -> int:
        """Positions."""


SizedT = TypeVar("SizedT", bound=Sized)


@dataclass(slots=True)
class Limits:
    """How large a batch may be; shrinks when the memory turns out to be smaller.

    ``tokens`` counts padding, ``outputs`` the positions with logits, ``rows`` is the user's cap.
    """

    tokens: int
    outputs: int
    rows: int | None = None

    @classmethod
    def choose(cls, options: HFOptions, tokens: int, logits: int, vocabulary: int) -> Limits:
        """``tokens`` unless the user says how many; ``vocabulary`` is the width of the ``logits``."""
        return cls(
            tokens=options.batch_tokens or tokens,
            outputs=max(1, logits // max(1, vocabulary)),
            rows=options.batch_size,
        )

    def fits(self, rows: int, longest: int, outputs: int) -> bool:
        """Whether a batch of that shape is within the limits. One row always is: it must be tried."""
        if rows == 1:
            return True
        within_rows = self.rows is None or rows <= self.rows
        return within_rows and rows * longest <= self.tokens and rows * outputs <= self.outputs

    def window(self) -> int:
        """Tokens to pull before the first batch runs."""
        return WINDOW_BATCHES * self.tokens

    def halve(self, batch: Sequence[Sized]) -> None:
        """Learn that a batch of this shape was too large: half of it may not be."""
        self.tokens = max(1, len(batch) * max(row.length for row in batch) // 2)
        self.outputs = max(1, len(batch) * max(row.outputs for row in batch) // 2)


def run_batches(
    rows: Sequence[SizedT], limits: Limits, run: Callable[[list[SizedT]], Sequence[R]]
) -> Iterator[tuple[SizedT, R | None]]:
    """Run ``rows`` in their order, in batches within ``limits``; yield each with its result.

    Out of memory halves the batch and the limits; a row that does not fit alone comes with None.
    """
    queue = deque(rows)
    while queue:
        batch = _take(queue, limits)
        results = attempt(run, batch)
        if results is not None:
            yield from zip(batch, results, strict=True)
        elif len(batch) == 1:
            yield batch[0], None
        else:
            limits.halve(batch)
            queue.extendleft(reversed(batch))


def _take(queue: deque[SizedT], limits: Limits) -> list[SizedT]:
    batch: list[SizedT] = []
    longest = outputs = 0
    while queue:
        longest, outputs = max(longest, queue[0].length), max(outputs, queue[0].outputs)
        if not limits.fits(len(batch) + 1, longest, outputs):
            break
        batch.append(queue.popleft())
    return batch


def attempt(run: Callable[[list[T]], R], batch: list[T]) -> R | None:
    """Return the results, or None where the memory was too small."""
    try:
        return run(batch)
    except Exception as error:
        if not is_out_of_memory(error):
            raise BackendError(
                f"The model failed on a batch of {len(batch)}: {type(error).__name__}: {error}"
            ) from error
    # Only here, past the except clause, is the traceback gone that kept the batch's tensors alive.
    free_memory()
    return None


def is_out_of_memory(error: BaseException) -> bool:
    """CUDA has a class for it; other devices a RuntimeError with a text."""
    if isinstance(error, torch.cuda.OutOfMemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(
        sign in text for sign in ("out of memory", "can't allocate memory", "not enough memory")
    )


def free_memory() -> None:
    """Give back what nothing refers to any more."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    elif torch.backends.mps.is_available():
        torch.mps.empty_cache()
