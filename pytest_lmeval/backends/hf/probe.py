"""Find out on load whether a model takes shared prefixes, by comparing with its own attention on a few tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from pytest_lmeval.backends.hf.attention import Call, UnsupportedAttentionError, attending
from pytest_lmeval.backends.hf.outputs import REFUSALS, Outputs, ways
from pytest_lmeval.backends.hf.path import PathAttention, PathMemory, Stretch
from pytest_lmeval.backends.hf.quiet import quiet

# The row of tokens tried: the first position and the length of each part. What two texts share, the rest of the one and
# of the other, and a text of its own; then the parts that make up each text.
STRETCHES = (Stretch(0, 0, 7), Stretch(7, 7, 5), Stretch(12, 7, 6), Stretch(18, 0, 4))
TEXTS = (range(12), [*range(7), *range(12, 18)], range(18, 22))
ROWS = 22

# Largest difference of logits, as a share of the largest logit. Another order of summation makes rounding errors;
# a token that sees what it must not see makes differences of the size of the logits.
TOLERANCE = {torch.float64: 1e-3, torch.float32: 1e-3, torch.float16: 3e-2, torch.bfloat16: 5e-2}

SEEN_LAYERS = {"full_attention", "sliding_attention"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """``outputs`` where prefixes can be shared, else the reason why not."""

    outputs: Outputs | None
    reason: str = ""


def probe(model: Any) -> Verdict:
    """Try the ways to get logits, the leanest first."""
    config = getattr(model.config, "text_config", None) or model.config
    if obstacle := _obstacle(config):
        return Verdict(None, obstacle)
    with torch.inference_mode(), quiet():
        ids = torch.arange(1, ROWS + 1, device=model.device)[None]
        expected = [model(input_ids=ids[:, list(text)]).logits[0].float() for text in TEXTS]
        reason = "its attention cannot be exchanged"
        for outputs in ways(model, expected[0].shape[-1]):
            try:
                found, windows = _try(model, ids, outputs)
            except UnsupportedAttentionError as error:
                reason = str(error)
            except REFUSALS:
                continue
            else:
                if not windows or _untold_window(config, windows):
                    continue
                if all(_alike(found[list(text)], own, model.dtype) for text, own in zip(TEXTS, expected, strict=True)):
                    return Verdict(outputs)
    return Verdict(None, reason)


def _try(model: Any, ids: torch.Tensor, outputs: Outputs) -> tuple[torch.Tensor, dict[int, int | None]]:
    """Return the logits of the whole row, and the windows that the layers asked for."""
    watched = _Watched(PathAttention(PathMemory(), STRETCHES))
    positions = [place for stretch in STRETCHES for place in range(stretch.start, stretch.end)]
    rows = torch.arange(ROWS, device=model.device)
    with attending(model, watched):
        states = outputs.states(ids, torch.tensor([positions], device=model.device), rows)
    return outputs.projection.logits(states), watched.windows


def _alike(found: torch.Tensor, expected: torch.Tensor, dtype: torch.dtype) -> bool:
    difference, size = (found - expected.to(found.device)).abs().max(), expected.abs().max()
    return found.shape == expected.shape and bool(difference <= TOLERANCE.get(dtype, TOLERANCE[torch.bfloat16]) * size)


class _Watched:
    """Attention that notes what it was asked."""

    def __init__(self, attention: PathAttention) -> None:
        self._attention = attention
        self.windows: dict[int, int | None] = {}

    def attend(self, call: Call) -> torch.Tensor:
        self.windows[call.layer] = call.window
        return self._attention.attend(call)


def _obstacle(config: Any) -> str:
    """Return what in the configuration speaks against sharing, though a few tokens would not show it."""
    kinds = set(getattr(config, "layer_types", None) or ()) - SEEN_LAYERS
    if kinds:
        return f"it has layers of {' and '.join(sorted(kinds))}"
    parameters = getattr(config, "rope_parameters", None) or {}
    parts = [parameters, *(part for part in parameters.values() if isinstance(part, dict))]
    kinds = {str(part.get("rope_type")) for part in parts}
    if changing := {kind for kind in kinds if kind == "longrope" or "dynamic" in kind}:
        return f"its rotary embedding ({', '.join(changing)}) changes with the length of the batch"
    return ""


def _untold_window(config: Any, windows: dict[int, int | None]) -> bool:
    """Whether a layer sees a window of positions and does not tell its attention."""
    if getattr(config, "sliding_window", None) is None:
        return False
    kinds = getattr(config, "layer_types", None)
    return any(window is None for layer, window in windows.items() if not kinds or kinds[layer] == "sliding_attention")
