"""Encoder-decoder models: the encoder reads the context, the decoder predicts the continuation.

The rules are those of lm-evaluation-harness's seq2seq backend (``models/huggingface.py``, 0.4.13). They run in plain
padded batches: contexts share no beginnings here, since each token of an encoder sees all others.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from inspect import signature
from typing import Any, Generic, TypeVar

import torch

from pytest_lmeval.backends.checkpoints.quiet import quiet
from pytest_lmeval.backends.hf.batching import Limits, run_batches
from pytest_lmeval.backends.hf.model import Loaded
from pytest_lmeval.backends.hf.scoring.too_large import too_large
from pytest_lmeval.backends.text.encoding import Encoder, Span, Tokens, move_whitespace
from pytest_lmeval.backends.text.scores import Score, checked

OwnerT = TypeVar("OwnerT")

# What a model's loss leaves out and its decoder reads as padding.
_NO_LABEL = -100


class PairEncoder(Encoder):
    """Tokenizes a context and its continuation each on its own.

    A span's ``inputs`` are the context and then all of the continuation but its last token, as for other models:
    the encoder reads the first part, the decoder the second.
    """

    def __init__(self, loaded: Loaded, add_bos_token: bool | None = None) -> None:
        super().__init__(loaded, add_bos_token)
        # Only a decoder that numbers its positions has a longest answer.
        self._longest: int | None = getattr(loaded.model.config, "max_position_embeddings", None)

    def room(self, wanted: int) -> int:
        """The encoder and the decoder have the model's whole length each."""
        return self.max_length if self._longest is None or wanted <= self._longest else 0

    def prompts(self, texts: Iterable[str]) -> dict[str, list[int]]:
        """Texts to answer, always with the special tokens that the tokenizer adds by itself."""
        encoded = self._batch(list(dict.fromkeys(texts)), special=None)
        return {text: tokens or [self.prefix] for text, tokens in encoded.items()}

    def pairs(self, pairs: Sequence[tuple[str, str]]) -> list[Span | str]:
        """Contexts with their continuations as spans; in place of one that cannot be scored, why."""
        moved = [move_whitespace(*pair) for pair in pairs]
        read = self.texts(context for context, _ in moved)
        written = self._plain(continuation for _, continuation in moved)
        spans = []
        for (given, _), (context, continuation) in zip(pairs, moved, strict=True):
            tokens = written[continuation]
            # White space alone is a context too: the tokenizer's special tokens around nothing.
            spans.append(self._span(*((read[context] or [self.prefix], tokens) if given else self._start(tokens))))
        return spans

    def _cut(self, context: list[int], continuation: list[int]) -> list[int]:
        """The encoder has the model's whole length for itself."""
        return context[-self.max_length :] + continuation[:-1]


@dataclass(slots=True)
class _Pair(Generic[OwnerT]):
    """A row: ``source`` for the encoder, ``targets`` for the decoder, and who waits for the score."""

    source: Tokens
    targets: Tokens
    owners: list[OwnerT] = field(default_factory=list)

    @property
    def length(self) -> int:
        """Tokens read."""
        return len(self.source) + len(self.targets)

    @property
    def outputs(self) -> int:
        """Positions whose logits are wanted."""
        return len(self.targets)


class PairScorer:
    """Scores spans on one encoder-decoder model, in batches."""

    def __init__(self, loaded: Loaded, limits: Limits) -> None:
        self._model = loaded.model
        self._device = loaded.device
        self._limits = limits
        # Each row is read once: keys and values kept for later would be memory lost.
        self._options = {"use_cache": False} if "use_cache" in signature(loaded.model.forward).parameters else {}

    def score(self, spans: Iterable[tuple[OwnerT, Span]]) -> Iterator[tuple[OwnerT, Score | str]]:
        """Yield each owner with the score of its span or with why there is none, batch by batch."""
        for pair, score in run_batches(_merge(spans), self._limits, self._run):
            outcome = too_large(pair.length) if score is None else checked(score)
            for owner in pair.owners:
                yield owner, outcome

    def _run(self, pairs: list[_Pair[OwnerT]]) -> list[Score]:
        with torch.inference_mode(), quiet():
            logits = self._logits([pair.source for pair in pairs], [pair.targets for pair in pairs])
            logprobs = torch.log_softmax(logits, dim=-1, dtype=torch.float32)
            targets = _padded([pair.targets for pair in pairs], 0).to(logits.device)
            found = logprobs.gather(2, targets[..., None])[..., 0].tolist()
            greedy = (logprobs.argmax(dim=-1) == targets).tolist()
        return [
            Score(math.fsum(values[: pair.outputs]), all(best[: pair.outputs]))
            for pair, values, best in zip(pairs, found, greedy, strict=True)
        ]

    def _logits(self, sources: Sequence[Tokens], targets: Sequence[Tokens]) -> torch.Tensor:
        """Logits for each target token. Equal sources, the choices of one question, go through the encoder once."""
        numbers = {source: number for number, source in enumerate(dict.fromkeys(sources))}
        inputs, mask = pad_right(list(numbers), 0)
        inputs, mask = inputs.to(self._device), mask.to(self._device)
        encoded = self._model.get_encoder()(input_ids=inputs, attention_mask=mask)
        rows = torch.tensor([numbers[source] for source in sources], device=self._device)
        encoded["last_hidden_state"] = encoded.last_hidden_state[rows.to(encoded.last_hidden_state.device)]
        # Given the labels, a model makes the decoder's input from them by its own rule.
        labels = _padded(targets, _NO_LABEL).to(self._device)
        output = self._model(encoder_outputs=encoded, attention_mask=mask[rows], labels=labels, **self._options)
        logits: torch.Tensor = output.logits
        return logits


def is_encoder_decoder(model: Any) -> bool:
    """Whether the model is of this kind."""
    return bool(getattr(model.config, "is_encoder_decoder", False))


def pad_right(sequences: Sequence[Tokens], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens and attention mask."""
    return _padded(sequences, pad), _padded([(1,) * len(sequence) for sequence in sequences], 0)


def _padded(sequences: Sequence[Tokens], pad: int) -> torch.Tensor:
    longest = max(map(len, sequences))
    return torch.tensor([sequence + (pad,) * (longest - len(sequence)) for sequence in sequences])


def _merge(spans: Iterable[tuple[OwnerT, Span]]) -> list[_Pair[OwnerT]]:
    """One row for equal spans; long ones first and those with equal contexts together."""
    pairs: dict[Span, _Pair[OwnerT]] = {}
    for owner, span in spans:
        border = len(span.inputs) - len(span.targets) + 1
        pairs.setdefault(span, _Pair(span.inputs[:border], span.targets)).owners.append(owner)
    return sorted(pairs.values(), key=lambda pair: (-len(pair.source), pair.source, -len(pair.targets), pair.targets))
