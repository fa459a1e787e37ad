"""Find out on load whether a model takes shared prefixes, by comparing with its own attention on a few tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from pytest_lmeval.backends.checkpoints.explaining import first_line
from pytest_lmeval.backends.checkpoints.quiet import quiet
from pytest_lmeval.backends.hf.attention.batched import path_attention
from pytest_lmeval.backends.hf.attention.interface import Attention, Call, UnsupportedAttentionError, attending
from pytest_lmeval.backends.hf.attention.path import PathMemory, Stretch
from pytest_lmeval.backends.hf.attention.rotary import rotary_border
from pytest_lmeval.backends.hf.scoring.outputs import REFUSALS, Outputs, ways

# The tokens tried, pack by pack: what two texts share; the rest of the one and of the other, and a text of its own.
# The second pack must find what the first has left, which a layer that runs twice would have overwritten. TEXTS are the
# parts that make up each text.
PACKS = ((Stretch(0, 0, 7),), (Stretch(0, 7, 5), Stretch(5, 7, 6), Stretch(11, 0, 4)))
TEXTS = (range(12), [*range(7), *range(12, 18)], range(18, 22))
ROWS = 22

# Largest difference of logits, as a share of the largest logit. Another order of summation makes rounding errors;
# a token that sees what it must not see makes differences of the size of the logits.
TOLERANCE = {torch.float64: 1e-3, torch.float32: 1e-3, torch.float16: 3e-2, torch.bfloat16: 5e-2}

# The same for what is made of equal hidden states: half a unit in the last place here and there, and no more. Logits
# that a model bounds or scales by little are told from its output layer's by this.
ROUNDING = 2
LEAST_ROUNDING = 1e-5

SEEN_LAYERS = {"full_attention", "sliding_attention"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """``outputs`` where prefixes can be shared, else the reason why not."""

    outputs: Outputs | None
    reason: str = ""


def probe(model: Any, max_length: int) -> Verdict:
    """Try the ways to get logits, the leanest first; texts are of ``max_length`` tokens at most."""
    config = getattr(model.config, "text_config", None) or model.config
    if obstacle := _obstacle(config, max_length):
        return Verdict(None, obstacle)
    with torch.inference_mode(), quiet():
        ids = torch.arange(1, ROWS + 1, device=model.device)[None] % int(getattr(config, "vocab_size", ROWS + 1))
        expected = [model(input_ids=ids[:, list(text)]).logits[0].float() for text in TEXTS]
        reason = "its attention cannot be exchanged"
        for outputs in ways(model, expected[0].shape[-1]):
            try:
                if outputs.lean and not _same_logits(model, ids[:, list(TEXTS[0])], outputs, expected[0]):
                    continue
                found, windows = _try(model, ids, outputs)
            except UnsupportedAttentionError as error:
                reason = str(error)
            except REFUSALS as error:
                # Said, so that a mistake of ours does not pass for a trait of the model.
                reason = f"asked for its {outputs.name} it raised {type(error).__name__}: {first_line(error)}"
            else:
                if not windows:
                    continue
                reason = "with shared prefixes it gives other logits"
                if _untold_window(config, windows):
                    reason = "its layers see a window of positions and do not tell their attention"
                elif all(
                    _alike(found[list(text)], own, model.dtype) for text, own in zip(TEXTS, expected, strict=True)
                ):
                    return Verdict(outputs)
    return Verdict(None, reason)


def _try(model: Any, ids: torch.Tensor, outputs: Outputs) -> tuple[torch.Tensor, dict[int, int | None]]:
    """Return the logits of all packs, and the windows that the layers asked for."""
    memory, first = PathMemory(), 0
    found: list[torch.Tensor] = []
    windows: dict[int, int | None] = {}
    for stretches in PACKS:
        watched = _Watched(path_attention(model.device, memory, stretches))
        places = [place for stretch in stretches for place in range(stretch.start, stretch.end)]
        positions, rows = torch.tensor([places], device=model.device), torch.arange(len(places), device=model.device)
        with attending(model, watched):
            states = outputs.states(ids[:, first : first + len(places)], positions, rows)
        found.append(outputs.projection.logits(states))
        windows |= watched.windows
        first += len(places)
    return torch.cat(found), windows


def _same_logits(model: Any, ids: torch.Tensor, outputs: Outputs, expected: torch.Tensor) -> bool:
    """Whether ``outputs`` makes the model's own logits of a text of the model's own hidden states."""
    rows = torch.arange(ids.shape[1], device=model.device)
    found = outputs.projection.logits(outputs.states(ids, rows[None], rows))
    return _close(found, expected, max(LEAST_ROUNDING, ROUNDING * torch.finfo(model.dtype).eps))


def _alike(found: torch.Tensor, expected: torch.Tensor, dtype: torch.dtype) -> bool:
    return _close(found, expected, TOLERANCE.get(dtype, TOLERANCE[torch.bfloat16]))


def _close(found: torch.Tensor, expected: torch.Tensor, tolerance: float) -> bool:
    if found.shape != expected.shape:
        return False
    difference, size = (found - expected.to(found.device)).abs().max(), expected.abs().max()
    return bool(difference <= tolerance * size)


class _Watched:
    """Attention that notes what it was asked."""

    def __init__(self, attention: Attention) -> None:
        self._attention = attention
        self.windows: dict[int, int | None] = {}

    def attend(self, call: Call) -> torch.Tensor:
        self.windows[call.layer] = call.window
        return self._attention.attend(call)


def _obstacle(config: Any, max_length: int) -> str:
    """Return what in the configuration speaks against sharing, though a few tokens would not show it."""
    kinds = set(getattr(config, "layer_types", None) or ()) - SEEN_LAYERS
    if kinds:
        return f"it has layers of {' and '.join(sorted(kinds))}"
    if (border := rotary_border(config)) and max_length > border[0]:
        return f"its rotary embedding ({border[1]}) changes with texts of more than {border[0]} tokens (max_length)"
    return ""


def _untold_window(config: Any, windows: dict[int, int | None]) -> bool:
    """Whether a layer sees a window of positions and does not tell its attention."""
    if getattr(config, "sliding_window", None) is None:
        return False
    kinds = getattr(config, "layer_types", None)
    return any(window is None for layer, window in windows.items() if not kinds or kinds[layer] == "sliding_attention")
