"""How fast torch's fused attention is next to matrix products: ``python benchmarks/attention_rate.py``.

The shapes are those of SmolLM2-135M (9 heads, 3 of them with keys and values, 64 wide, float32): runs of tokens after a
prefix, one call per run as the engine makes them on a CPU. Prints the median rate of 30 rounds for each shape.
"""

from __future__ import annotations

import statistics
import time

import torch

HEADS, KEY_HEADS, WIDTH = 9, 3, 64

# Tokens per run, runs, tokens before them.
SHAPES = ((200, 5, 1440), (77, 13, 519), (512, 1, 512))


def rate(tokens: int, runs: int, before: int, rounds: int = 30) -> float:
    """Return GFLOP/s, counting what each token sees: all before its run, and half of the run."""
    keys = before + tokens
    query = torch.randn(1, HEADS, tokens, WIDTH)
    key, value = torch.randn(2, 1, KEY_HEADS, keys, WIDTH)
    mask = torch.zeros(tokens, keys).masked_fill_(
        torch.ones(tokens, keys, dtype=torch.bool).triu(before + 1), -torch.inf
    )
    seconds = []
    for _ in range(rounds):
        started = time.perf_counter()
        for _ in range(runs):
            torch.nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, enable_gqa=True)
        seconds.append(time.perf_counter() - started)
    flop = 4 * runs * tokens * (before + tokens / 2) * HEADS * WIDTH
    return flop / statistics.median(seconds) / 1e9


if __name__ == "__main__":
    with torch.inference_mode():
        for tokens, runs, before in SHAPES:
            print(f"{runs} runs of {tokens} tokens after {before}: {rate(tokens, runs, before):.0f} GFLOP/s")
