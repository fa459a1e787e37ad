"""Write a copy of a checkpoint with coarser weights: ``python scripts/round_to_nearest.py MODEL OUT [--bits 4]``.

The weights of every linear layer but the head are rounded to the nearest of 2^bits steps per output row, the plainest
of quantizations, and stored as ordinary floats: a copy that every engine reads and that is worse by a known cause.
MODEL is a folder in the layout of transformers (``scripts/demo_checkpoint.py`` makes one of the demo model).
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any


def rounded(weight: Any, bits: int) -> Any:
    """Round a matrix (output rows, inputs) to the nearest of ``2 ** bits`` steps, scaled by each row's largest size."""
    import torch

    largest = 2 ** (bits - 1) - 1
    step = (weight.abs().amax(dim=1, keepdim=True) / largest).clamp_min(torch.finfo(weight.dtype).tiny)
    return (weight / step).round().clamp(-largest - 1, largest) * step


def round_linear(model: Any, bits: int) -> None:
    """Round every linear layer of a model of transformers in place, its head excepted."""
    import torch

    with torch.no_grad():
        for name, module in model.named_modules():
            if isinstance(module, torch.nn.Linear) and "lm_head" not in name:
                module.weight.copy_(rounded(module.weight, bits))


def write(source: Path, out: Path, bits: int) -> None:
    """Write the copy, complete or not at all."""
    import transformers

    model = transformers.AutoModelForCausalLM.from_pretrained(source, dtype="float32")
    round_linear(model, bits)
    unfinished = out.with_name(f".{out.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    model.save_pretrained(unfinished)
    transformers.AutoTokenizer.from_pretrained(source).save_pretrained(unfinished)
    unfinished.rename(out)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--bits", type=int, default=4, choices=range(2, 9))
    options = parser.parse_args()
    if options.out.exists():
        parser.error(f"{options.out} exists")
    write(options.model, options.out, options.bits)
    print(f"{options.model} rounded to {options.bits} bits -> {options.out}")


if __name__ == "__main__":
    main()
