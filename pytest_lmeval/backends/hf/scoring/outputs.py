"""How to get a model's logits for chosen positions only.

The best way is found by trying: architectures and releases differ in what they offer, and some do more to their
logits than multiply (Gemma bounds them, Cohere and Granite scale them).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from inspect import signature
from typing import Any

import torch

from pytest_lmeval.backends.hf.scoring.projection import Projection

# What a model may raise that is asked in a way it does not know.
REFUSALS = (RuntimeError, IndexError, TypeError, ValueError, AttributeError, NotImplementedError)


@dataclass(frozen=True, slots=True)
class Outputs:
    """One way to get them.

    ``states`` takes tokens and positions (1 x tokens) and the rows that are wanted, and returns for each of these what
    ``projection`` makes logits of. ``lean`` says that this is a hidden state and not a row of logits already.
    """

    name: str
    states: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
    projection: Projection
    lean: bool


def ways(model: Any, vocabulary: int) -> list[Outputs]:
    """Return the ways to try, best first; the last one always works."""
    device, parameters = model.device.type, signature(model.forward).parameters
    options: dict[str, Any] = {"use_cache": False} if "use_cache" in parameters else {}
    given = Projection(lambda logits, first, last: logits[:, first:last], vocabulary, device, sliced=True)

    def through_head(ids: torch.Tensor, positions: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        hidden = model.get_decoder()(input_ids=ids, position_ids=positions, use_cache=False).last_hidden_state
        states: torch.Tensor = hidden[0, rows.to(hidden.device)]
        return states

    def kept(ids: torch.Tensor, positions: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        output = model(input_ids=ids, position_ids=positions, logits_to_keep=rows, **options)
        logits: torch.Tensor = output.logits[0]
        return logits

    def all_rows(ids: torch.Tensor, positions: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = model(input_ids=ids, position_ids=positions, **options).logits[0, rows]
        return logits

    head = _head(model, vocabulary, device)
    found = [Outputs("hidden states", through_head, head, lean=True)] if head else []
    if "logits_to_keep" in parameters:
        found.append(Outputs("logits_to_keep", kept, given, lean=False))
    return [*found, Outputs("all logits", all_rows, given, lean=False)]


def _head(model: Any, vocabulary: int, device: str) -> Projection | None:
    head = model.get_output_embeddings()
    if head is None:
        return None
    if not _plain_linear(head):
        return Projection(lambda hidden, first, last: head(hidden)[:, first:last], vocabulary, device, sliced=False)

    def logits(hidden: torch.Tensor, first: int, last: int) -> torch.Tensor:
        bias = None if head.bias is None else head.bias[first:last]
        return torch.nn.functional.linear(hidden, head.weight[first:last], bias)

    return Projection(logits, vocabulary, device, sliced=True)


def _plain_linear(head: Any) -> bool:
    """Whether a slice of the weights gives a slice of the outputs: no quantization, no adapter, no hook in between."""
    hooked = "forward" in vars(head) or head._forward_hooks or head._forward_pre_hooks
    return type(head) is torch.nn.Linear and type(head.weight) is torch.nn.Parameter and not hooked
