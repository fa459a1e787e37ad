"""What the machine multiplies matrices at: the model's linear layers alone, one after the other.

Every layer has weights of its own, as in the model: weights that stay in a cache would make it look faster. The
rate of one product repeated, which they do, is measured for reference.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.nn.functional import linear

# Rows of a product: tokens in a batch that keeps the device busy.
ROWS = {"cuda": 16_384, "cpu": 512}
PASSES = 5


def measure(layers: Sequence[tuple[int, int]], dtype: str, device: str) -> dict[str, Any]:
    """Return GFLOP/s, medians over :data:`PASSES`: ``rate`` over all layers, ``hot`` of the largest repeated."""
    kind, rows = getattr(torch, dtype), ROWS.get(device.split(":")[0], ROWS["cpu"])
    with torch.inference_mode():
        weights = [torch.randn(shape, dtype=kind, device=device).mul_(0.02) for shape in layers]
        inputs = {width: torch.randn((rows, width), dtype=kind, device=device) for _, width in layers}
        largest = max(weights, key=torch.Tensor.numel)
        same = [largest] * max(1, len(weights) // 8)
        rate = _gflops(lambda: _run(weights, inputs), weights, rows, device)
        hot = _gflops(lambda: _run(same, inputs), same, rows, device)
    return {"rate": rate, "hot": hot, "rows": rows, "threads": torch.get_num_threads()}


def _run(weights: Sequence[torch.Tensor], inputs: dict[int, torch.Tensor]) -> None:
    for weight in weights:
        linear(inputs[weight.shape[1]], weight)


def _gflops(run: Callable[[], None], weights: Sequence[torch.Tensor], rows: int, device: str) -> float:
    run()  # the first call chooses kernels
    synchronize(device)
    seconds = []
    for _ in range(PASSES):
        started = time.perf_counter()
        run()
        synchronize(device)
        seconds.append(time.perf_counter() - started)
    return 2e-9 * rows * sum(weight.numel() for weight in weights) / statistics.median(seconds)


def synchronize(device: str) -> None:
    """Wait until the device has done what it was given."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
