"""Scores that depend on their request alone, bit for bit: not on what else is asked, nor on the order.

Attention gets pieces that depend on the text alone (pages). All other layers see packs of one fixed size, so that a
row goes through the same kernels wherever it stands. Whether its result is then the same is the matrix library's
affair, so it is tried on load. Where it does not hold, each text runs by itself in its own shape, which is slower. So
do models with experts: one of these sees as many rows as were sent to it, whatever the size of the pack, and some
libraries (on Intel's processors, for one) choose by their number how to multiply.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace

import torch

from pytest_lmeval.backends.hf.batching import Limits, attempt
from pytest_lmeval.backends.hf.model import Loaded
from pytest_lmeval.backends.hf.scoring.outputs import Outputs
from pytest_lmeval.backends.hf.scoring.packs import Packs
from pytest_lmeval.backends.hf.scoring.pages import PAGE
from pytest_lmeval.backends.hf.scoring.plain import PlainScorer
from pytest_lmeval.backends.hf.scoring.schedule import Segment
from pytest_lmeval.backends.hf.scoring.seq2seq import PairScorer, is_encoder_decoder
from pytest_lmeval.backends.hf.scoring.sharing import SharedScorer
from pytest_lmeval.backends.hf.scoring.too_large import fixed_too_large
from pytest_lmeval.backends.hf.scoring.trie import Want
from pytest_lmeval.backends.text.encoding import Span
from pytest_lmeval.backends.text.scores import Scorer
from pytest_lmeval.errors import BackendError

# Tokens in each pack. Each is filled up to this, so that a large one is wasted on few requests.
FIXED_TOKENS = {"cuda": 8192, "mps": 2048, "cpu": 512}

# Rows of hidden states that go through the output layer together.
TILE = 64

# Tokens tried on load, in two pieces, and before them: numbers that fit no vector width, so that they come to stand
# everywhere.
TRIED = (23, 18)
LEADS = (0, 1, 6)

SHARED = "packs of one size"
ALONE = "one text at a time"

_EXPERTS = "its experts see as many rows at once as are sent to them"


def deterministic_scorer(loaded: Loaded, outputs: Outputs | None, limits: Limits) -> tuple[Scorer, str]:
    """Return what scores, and its name. Raises BackendError where not even a repetition gives the same bits."""
    reason = "its texts cannot share packs"
    if outputs is not None:
        fixed = replace(outputs, projection=outputs.projection.fixed(TILE))
        if not fixed.lean:
            # Each token costs a row of logits.
            limits.tokens = max(PAGE, min(limits.tokens, limits.outputs))
        # Where rows do not fill the vectors of a processor, those at the end are computed in another way.
        limits.tokens -= limits.tokens % PAGE
        packs = Packs(loaded, fixed, limits.tokens)
        reason = _EXPERTS if _has_experts(loaded) else _dependence(packs, loaded, limits.tokens)
        if not reason:
            return SharedScorer(packs, limits, deterministic=True), SHARED
    limits.rows = 1
    paired = is_encoder_decoder(loaded.model)
    scorer = PairScorer(loaded, limits) if paired else PlainScorer(loaded, limits, deterministic=True)
    _check_repetition(loaded, scorer)
    warnings.warn(f"{loaded.info.name} scores one text at a time, for deterministic=true: {reason}", stacklevel=2)
    return scorer, ALONE


def details(scorer: str, limits: Limits) -> Mapping[str, str | int | bool]:
    """Return what the numbers depend on besides the model and the device."""
    return {
        "deterministic": True,
        "engine": scorer,
        "batch_tokens": limits.tokens,
        "threads": torch.get_num_threads(),
    }


def _has_experts(loaded: Loaded) -> bool:
    return any(name.rsplit(".", 1)[-1] == "experts" for name, _ in loaded.model.named_modules())


def _dependence(packs: Packs, loaded: Loaded, tokens: int) -> str:
    """Try the same text at many places of a pack and among others; return what differs, nothing if it is all equal.

    The text is repeated until the pack is full, so that each row is compared, and again behind other tokens.
    """
    text, other = _text(5, loaded.max_length), _text(3, loaded.max_length)
    length = sum(segment.length for segment in text)
    alone = _bits(packs, text)
    for lead in (*LEADS, tokens % length):
        # With the last lead the copies end where the pack ends.
        copies = (tokens - lead) // length
        found = _bits(packs, [*_first(other, lead), *text * copies])[lead:]
        if not _same(found, alone):
            return f"on {loaded.device} its numbers depend on the place in a batch of {tokens} tokens"
    found = _bits(packs, [*other, *text] * (tokens // (2 * length)) or text)
    if not _same(found.reshape(-1, *alone.shape)[1::2], alone):
        return f"on {loaded.device} its numbers depend on the other texts in a batch of {tokens} tokens"
    return ""


def _first(text: list[Segment], tokens: int) -> list[Segment]:
    """Return the first ``tokens`` of a text, in its pieces."""
    parts = (segment.part(segment.start, min(segment.end, tokens)) for segment in text)
    return [part for part in parts if part.end > part.start]


def _text(step: int, longest: int) -> list[Segment]:
    """Return a text that wants a result for each of its tokens; small numbers are tokens of any vocabulary."""
    tokens = tuple(1 + step * place % 19 for place in range(min(sum(TRIED), longest)))
    wants = tuple(Want(place, tokens[place - 1], 0) for place in range(len(tokens)))
    whole = Segment(tokens, 0, len(tokens), wants)
    return [part for part in (whole.part(0, TRIED[0]), whole.part(TRIED[0], len(tokens))) if part.wants]


def _bits(packs: Packs, pack: list[Segment]) -> torch.Tensor:
    found = attempt(packs.bits, pack)
    if found is None:
        raise BackendError(fixed_too_large(packs.rows, PAGE))
    return found


def _same(found: torch.Tensor, expected: torch.Tensor) -> bool:
    return bool((found.reshape(-1, *expected.shape) == expected).all())


def _check_repetition(loaded: Loaded, scorer: Scorer) -> None:
    """Raise BackendError where the same text alone, asked twice, gets two results."""
    [tokens, other] = (tuple(_text(step, loaded.max_length)[0].text) for step in (5, 3))
    spans = [Span(tokens[:-1], tokens[1:]), Span(other[:-1], other[1:])]
    first, second = (dict(scorer.score(enumerate(spans))) for _ in range(2))
    if first != second:
        raise BackendError(
            f"{loaded.info.name} gives other numbers each time it reads the same text on {loaded.device}, "
            "so deterministic=true cannot be kept there. Leave it out, or try another device."
        )
