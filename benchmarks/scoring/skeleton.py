"""A model without its weights: what its tokenizer and its shapes say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import transformers

from benchmarks.scoring.counting import Work
from benchmarks.scoring.model import Model
from pytest_lmeval.backends.checkpoints.explaining import UNREADABLE, first_line
from pytest_lmeval.backends.checkpoints.quiet import quiet
from pytest_lmeval.backends.hf.model import assemble, choose_dtype
from pytest_lmeval.backends.text.encoding import Encoder
from pytest_lmeval.errors import ModelSpecError


@dataclass(frozen=True, slots=True, kw_only=True)
class Shapes:
    """``decoder`` are the parameters that every token is multiplied with, ``output`` those of the output projection.

    ``layers`` are the shapes (outputs, inputs) of the decoder's linear layers in their order.
    """

    parameters: int
    decoder: int
    output: int
    layers: tuple[tuple[int, int], ...]

    def flop(self, work: Work) -> float:
        """Floating-point operations of the matrix products; those of attention itself are left out."""
        return 2.0 * (self.decoder * work.distinct + self.output * work.scored)


@dataclass(frozen=True, slots=True, kw_only=True)
class Skeleton:
    """``dtype`` is torch's name of the type that the weights are loaded in."""

    encoder: Encoder
    shapes: Shapes
    dtype: str


def read(model: Model) -> Skeleton:
    """Build the model on no device. Raises ModelSpecError where it cannot be read."""
    try:
        return _read(model)
    except UNREADABLE as error:
        raise ModelSpecError(f"The model {model.location} cannot be loaded: {first_line(error)}") from None


def _read(model: Model) -> Skeleton:
    options, name = model.options, model.location
    common: dict[str, Any] = {"trust_remote_code": options.trust_remote_code}
    if options.revision is not None:
        common["revision"] = options.revision
    with quiet():
        config = transformers.AutoConfig.from_pretrained(name, **common)
        tokenizer = transformers.AutoTokenizer.from_pretrained(options.tokenizer or name, **common)
        dtype = _dtype(config, options.dtype)
        with torch.device("meta"):
            empty = transformers.AutoModelForCausalLM.from_config(
                config, dtype=dtype, trust_remote_code=options.trust_remote_code
            )
    encoder = Encoder(assemble(name, empty, tokenizer, options), options.add_bos_token)
    return Skeleton(encoder=encoder, shapes=shapes_of(empty), dtype=str(dtype).removeprefix("torch."))


def shapes_of(model: Any) -> Shapes:
    """Count the parameters of ``model``."""
    output = model.get_output_embeddings()
    tables = {module.weight for module in model.modules() if isinstance(module, torch.nn.Embedding)}
    # Vectors (norms, biases) are added or multiplied element by element, which costs next to nothing.
    matrices = [p for p in model.parameters() if p.dim() > 1 and p not in tables and p is not output.weight]
    layers = [module for module in model.modules() if isinstance(module, torch.nn.Linear) and module is not output]
    return Shapes(
        parameters=sum(p.numel() for p in model.parameters()),
        decoder=sum(p.numel() for p in matrices),
        output=output.weight.numel(),
        layers=tuple((layer.out_features, layer.in_features) for layer in layers),
    )


def _dtype(config: Any, given: str) -> torch.dtype:
    if given != "auto":
        return choose_dtype(given)
    stated = getattr(config, "dtype", None)
    return stated if isinstance(stated, torch.dtype) else torch.float32
