"""Attention in two parts, each on some of the keys, that together are attention on all of them.

Source of the merge: Dao et al. 2022, "FlashAttention", section 3.1.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from pytest_lmeval.backends.hf.attention.interface import Call

# torch's fused attention for CPUs returns the normalizers that a merge needs, and no function of torch.nn does. Where a
# release does not have it, attention is done in one part.
FUSED = getattr(torch.ops.aten, "_scaled_dot_product_flash_attention_for_cpu", None)
TYPES = {torch.float32, torch.float64, torch.bfloat16, torch.float16}


@dataclass(frozen=True, slots=True)
class Partial:
    """``output`` is heads x tokens x width, ``logsumexp`` of the scores heads x tokens."""

    output: torch.Tensor
    logsumexp: torch.Tensor

    def rows(self, rows: slice) -> Partial:
        """Return that of some tokens."""
        return Partial(self.output[:, rows], self.logsumexp[:, rows])


def mergeable(call: Call) -> bool:
    """Whether this call can be done in parts."""
    plain = call.softcap is None and call.sinks is None and call.key.shape[2] == call.value.shape[2]
    return FUSED is not None and plain and call.query.device.type == "cpu" and call.query.dtype in TYPES


def partial_attention(
    call: Call,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None = None,
    *,
    causal: bool = False,
) -> Partial:
    """Attention of ``query`` on these keys: on all, on what the mask leaves, or ``causal`` on those up to its own."""
    assert FUSED is not None
    output, logsumexp = FUSED(query[None], key[None], value[None], 0.0, causal, attn_mask=mask, scale=call.scale)
    return Partial(output[0], logsumexp[0])


def merge(one: Partial, other: Partial) -> torch.Tensor:
    """Attention on the keys of both."""
    share = torch.sigmoid(other.logsumexp - one.logsumexp)[..., None].to(one.output.dtype)
    return torch.lerp(one.output, other.output, share)
