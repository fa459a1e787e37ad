"""Log-probabilities of texts in padded batches, for models whose attention is theirs alone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from inspect import signature
from itertools import chain
from typing import Any, Generic, TypeVar

import torch

from pytest_lmeval.backends.checkpoints.quiet import quiet
from pytest_lmeval.backends.hf.attention.rotary import rotary_border
from pytest_lmeval.backends.hf.batching import Limits, run_batches
from pytest_lmeval.backends.hf.model import Loaded
from pytest_lmeval.backends.hf.scoring.too_large import too_large
from pytest_lmeval.backends.text.encoding import Span, Tokens
from pytest_lmeval.backends.text.scores import Score, checked

OwnerT = TypeVar("OwnerT")


@dataclass(slots=True)
class Row(Generic[OwnerT]):
    """What the model reads once, and who waits for the score of which targets after it.

    Choices that differ only in their last token have the same ``inputs``: A, B, C and D are one row.
    """

    inputs: Tokens
    owners: dict[Tokens, list[OwnerT]] = field(default_factory=dict)

    @property
    def length(self) -> int:
        """Tokens read."""
        return len(self.inputs)

    @property
    def outputs(self) -> int:
        """Positions at the row's end whose logits are wanted."""
        return max(map(len, self.owners))


def merge(spans: Iterable[tuple[OwnerT, Span]], *, equal_outputs: bool = False) -> list[Row[OwnerT]]:
    """One row for equal inputs, longest first: padding is least and memory runs out early or never.

    ``equal_outputs`` keeps apart what wants another number of positions: the batch's shape then says what is wanted.
    """
    rows: dict[tuple[Tokens, int], Row[OwnerT]] = {}
    for owner, span in spans:
        key = (span.inputs, len(span.targets) if equal_outputs else 0)
        row = rows.setdefault(key, Row(span.inputs))
        row.owners.setdefault(span.targets, []).append(owner)
    return sorted(rows.values(), key=lambda row: (-row.length, row.inputs))


class Keep(Enum):
    """For which positions a model can be asked for logits."""

    PER_ROW = "its own positions for each row"
    SHARED = "the same positions for all rows"
    ALL = "all positions"


class PlainScorer:
    """Scores spans on one model, in padded batches that share nothing but equal rows."""

    def __init__(self, loaded: Loaded, limits: Limits, *, deterministic: bool = False) -> None:
        """``deterministic`` expects limits of one row, and makes its shape that of the request alone."""
        self._deterministic = deterministic
        self._model = loaded.model
        self._device = loaded.device
        self._limits = limits
        parameters = signature(loaded.model.forward).parameters
        # Scoring reads each row once: keys and values kept for later would be memory lost.
        self._options: dict[str, Any] = {"use_cache": False} if "use_cache" in parameters else {}
        self._keep = self._probe() if "logits_to_keep" in parameters else Keep.ALL
        self._border = rotary_border(loaded.model.config)
        if self._keep is not Keep.PER_ROW:
            # Every token may then cost a row of logits, wanted or not.
            limits.tokens = min(limits.tokens, limits.outputs)

    def score(self, spans: Iterable[tuple[OwnerT, Span]]) -> Iterator[tuple[OwnerT, Score | str]]:
        """Yield each owner with the score of its span or with why there is none, batch by batch."""
        rows = merge(spans, equal_outputs=self._deterministic)
        # A batch has the rotary embedding of its longest text, so the others must be on the same side of the border.
        long = sum(self._border is not None and row.length > self._border[0] for row in rows)
        for row, scores in chain(*(run_batches(part, self._limits, self._run) for part in (rows[:long], rows[long:]))):
            for position, owners in enumerate(row.owners.values()):
                outcome = checked(scores[position]) if scores else too_large(row.length)
                for owner in owners:
                    yield owner, outcome

    def _run(self, rows: list[Row[OwnerT]]) -> list[list[Score]]:
        """Score each row's targets, in the order of ``owners``."""
        targets = [(number, target) for number, row in enumerate(rows) for target in row.owners]
        wanted = max(len(target) for _, target in targets)
        lengths = torch.tensor([row.length for row in rows])
        positions = (lengths[:, None] - wanted + torch.arange(wanted)).clamp(min=0)
        with torch.inference_mode(), quiet():
            logits, columns = self._logits(_pad_right([row.inputs for row in rows]), positions)
            found = _token_scores(logits, columns, targets, wanted)
        scores: list[list[Score]] = [[] for _ in rows]
        for (number, target), (logprobs, greedy) in zip(targets, found, strict=True):
            scores[number].append(Score(math.fsum(logprobs[-len(target) :]), all(greedy[-len(target) :])))
        return scores

    def _logits(self, inputs: torch.Tensor, positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits, and the column in which each of ``positions`` (rows x wanted) is found.

        No attention mask: padding comes after the text, and a causal model does not see what comes after.
        """
        kept, columns = _selection(self._keep, positions)
        options = {} if kept is None else {"logits_to_keep": kept.to(self._device)}
        output = self._model(input_ids=inputs.to(self._device), **options, **self._options)
        return output.logits, columns

    def _probe(self) -> Keep:
        """How precisely this model can be asked, found by asking: releases and architectures differ."""
        inputs = torch.arange(8).reshape(2, 4)
        positions = torch.tensor([[1, 2], [2, 3]])
        self._keep = Keep.ALL
        reference = self._gather(inputs, positions)
        for keep in (Keep.PER_ROW, Keep.SHARED):
            self._keep = keep
            try:
                if torch.allclose(self._gather(inputs, positions), reference, atol=1e-2, rtol=1e-2):
                    return keep
            except (RuntimeError, IndexError, TypeError, ValueError):
                continue
        return Keep.ALL

    def _gather(self, inputs: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode(), quiet():
            logits, columns = self._logits(inputs, positions)
            if self._keep is not Keep.ALL and logits.shape[1] != int(columns.max()) + 1:
                raise ValueError("logits_to_keep was understood differently")
            return logits[torch.arange(len(inputs))[:, None], columns].float()


def _selection(keep: Keep, positions: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor]:
    if keep is Keep.PER_ROW:
        return positions, torch.arange(positions.shape[1]).expand_as(positions)
    if keep is Keep.SHARED:
        kept, columns = torch.unique(positions, return_inverse=True)
        return kept, columns
    return None, positions


def _token_scores(
    logits: torch.Tensor, columns: torch.Tensor, targets: Sequence[tuple[int, Tokens]], wanted: int
) -> list[tuple[list[float], list[bool]]]:
    """For each target its tokens' log-probabilities and whether each is the most probable; padded left."""
    logprobs = torch.log_softmax(logits, dim=-1, dtype=torch.float32)
    rows = torch.tensor([number for number, _ in targets])
    tokens = torch.tensor([(0,) * (wanted - len(target)) + target for _, target in targets])
    rows, tokens, columns = (index.to(logits.device) for index in (rows, tokens, columns[rows]))
    found = logprobs[rows[:, None], columns, tokens]
    greedy = logprobs.argmax(dim=-1)[rows[:, None], columns] == tokens
    return list(zip(found.tolist(), greedy.tolist(), strict=True))


def _pad_right(sequences: Sequence[Tokens]) -> torch.Tensor:
    longest = max(map(len, sequences))
    return torch.tensor([sequence + (0,) * (longest - len(sequence)) for sequence in sequences])
