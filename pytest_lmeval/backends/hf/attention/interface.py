"""Attention of our own inside transformers' models, through its AttentionInterface.

The layers run on one long row of tokens without padding; only attention knows which of them belong to which text.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from transformers import AttentionInterface

NAME = "lmeval_shared_prefix"


class UnsupportedAttentionError(Exception):
    """The model's attention asks for something that ours does not do."""


@dataclass(frozen=True, slots=True)
class Call:
    """What one layer asks for.

    ``query`` is heads x tokens x width, ``key`` and ``value`` are key heads x tokens x width. ``window`` is how many
    positions a token sees, itself included; ``softcap`` bounds the scores, ``sinks`` (one per head) join each softmax.
    """

    layer: int
    query: torch.Tensor
    key: torch.Tensor
    value: torch.Tensor
    scale: float | None
    window: int | None = None
    softcap: float | None = None
    sinks: torch.Tensor | None = None


class Attention(Protocol):
    """Decides what each token sees."""

    def attend(self, call: Call) -> torch.Tensor:
        """Return tokens x heads x width."""


_active: ContextVar[Attention] = ContextVar("attention")


@contextmanager
def attending(model: Any, attention: Attention) -> Iterator[None]:
    """Let ``attention`` do the work in ``model``, and give the model its own back."""
    own = model.config._attn_implementation
    token = _active.set(attention)
    try:
        model.set_attn_implementation(NAME)
        yield
    finally:
        model.set_attn_implementation(own)
        _active.reset(token)


def _attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    causal = options.get("is_causal", getattr(module, "is_causal", True))
    if attention_mask is not None or options.get("position_bias") is not None or causal is False:
        raise UnsupportedAttentionError(f"{type(module).__name__} brings a mask or a bias of its own")
    call = Call(
        layer=module.layer_idx,
        query=query[0],
        key=key[0],
        value=value[0],
        scale=scaling,
        window=options.get("sliding_window"),
        softcap=options.get("softcap"),
        sinks=options.get("s_aux"),
    )
    return _active.get().attend(call)[None], None


AttentionInterface.register(NAME, _attend)


def scaled_dot_product(
    call: Call, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None
) -> torch.Tensor:
    """Attention of ``query`` on ``key`` and ``value``, each batch x heads x tokens x width; the mask is added.

    Without a mask the first token sees the first key, the second the first two, and so on.
    Source: Vaswani et al. 2017, section 3.2.1.
    """
    if call.softcap is None and call.sinks is None:
        return torch.nn.functional.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=mask,
            is_causal=mask is None and query.shape[2] > 1,
            scale=call.scale,
            enable_gqa=query.shape[1] != key.shape[1],
        )
    if mask is None:
        mask = causal_mask(query.shape[2], key.shape[2], None, query)
    return _spelled_out(call, query, key, value, mask)


def _spelled_out(
    call: Call, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor
) -> torch.Tensor:
    """Attention with what torch's own function does not take. The softmax is in float32."""
    count, heads, tokens, width = query.shape
    grouped = query.reshape(count, key.shape[1], -1, width)
    scores = (grouped @ key.transpose(2, 3)).view(count, heads, tokens, -1).float()
    scores *= width**-0.5 if call.scale is None else call.scale
    if call.softcap is not None:
        scores = torch.tanh(scores / call.softcap) * call.softcap
    scores += mask
    if call.sinks is not None:
        sinks = call.sinks.float().view(heads, 1, 1).expand(count, -1, tokens, -1)
        scores = torch.cat([scores, sinks], dim=-1)
    weights = torch.softmax(scores, dim=-1)[..., : key.shape[2]].to(value.dtype)
    return (weights.view(count, key.shape[1], -1, key.shape[2]) @ value).view(count, heads, tokens, -1)


def causal_mask(tokens: int, keys: int, window: int | None, like: torch.Tensor) -> torch.Tensor:
    """Return tokens x keys, for the last ``tokens`` of ``keys`` positions: 0 where a token sees a key, else -inf."""
    queries = torch.arange(keys - tokens, keys, device=like.device)[:, None]
    positions = torch.arange(keys, device=like.device)
    hidden = positions > queries
    if window is not None:
        hidden |= positions <= queries - window
    return torch.zeros(tokens, keys, dtype=like.dtype, device=like.device).masked_fill_(hidden, -torch.inf)
