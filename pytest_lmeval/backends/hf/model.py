"""Load a model and its tokenizer, and say what was loaded."""

from __future__ import annotations

from contextlib import nullcontext, redirect_stderr
from dataclasses import dataclass, replace
from io import StringIO
from typing import Any

import torch
import transformers

from pytest_lmeval.backends.checkpoints.explaining import explained, first_line, quantization_explained
from pytest_lmeval.backends.checkpoints.gguf import read_once
from pytest_lmeval.backends.checkpoints.quiet import quiet
from pytest_lmeval.backends.checkpoints.source import Source, check_folder, find
from pytest_lmeval.backends.checkpoints.tokenizers import (
    hub_arguments,
    load_tokenizer,
    prefix_token,
    template_hash,
    tokenizer_hash,
)
from pytest_lmeval.backends.hf import HFOptions
from pytest_lmeval.backends.hf.adapters import attach, checkpoint, describe
from pytest_lmeval.backends.hf.scoring.pages import PAGE
from pytest_lmeval.backends.protocol import ModelInfo
from pytest_lmeval.errors import ModelSpecError

DEFAULT_MAX_LENGTH = 2048  # tokens, where neither configuration nor tokenizer says

# A tokenizer without a limit of its own says 10**30.
NO_LIMIT = 10**9

# Ways to spread a model over the devices there are; any other map is one device.
DEVICE_MAPS = ("auto", "balanced", "balanced_low_0", "sequential")

DTYPES = {
    "float32": torch.float32,
    "fp32": torch.float32,
    "float16": torch.float16,
    "fp16": torch.float16,
    "bfloat16": torch.bfloat16,
    "bf16": torch.bfloat16,
    "float64": torch.float64,
}


@dataclass(slots=True, kw_only=True)
class Loaded:
    """A model ready to run. ``model`` and ``tokenizer`` are transformers objects, untyped there."""

    model: Any
    tokenizer: Any
    device: torch.device
    max_length: int
    prefix_token_id: int
    info: ModelInfo


def load(name: str, options: HFOptions) -> Loaded:
    """Load the model called ``name``; what the user got wrong becomes a :class:`ModelSpecError`."""
    _check_counts(options)
    source = find(name, options.gguf_file, options.revision)
    check_folder(source)
    # A .gguf file states the type it is compressed to, not one to compute in.
    from_checkpoint = options.dtype == "auto" and source.gguf_file is None
    dtype = "auto" if from_checkpoint else choose_dtype(options.dtype)
    device = choose_device(options.device)
    if options.device_map is not None and options.device_map not in DEVICE_MAPS:
        choose_device(options.device_map, "device_map")
    # Reading a .gguf file draws a progress bar that no setting turns off.
    reading = read_once() if source.gguf_file else nullcontext()
    with quiet(), redirect_stderr(StringIO()), explained(name, source), reading:
        parts = checkpoint(name, source, options.peft)
        tokenizer = load_tokenizer(parts.tokenizer, options)
        model = _load_model(parts.model, options, dtype, device)
        attach(model, parts, len(tokenizer))
    loaded = assemble(_full_name(name, options), model, tokenizer, options)
    loaded.info = replace(loaded.info, details={**loaded.info.details, **describe(parts)})
    return loaded


def assemble(name: str, model: Any, tokenizer: Any, options: HFOptions) -> Loaded:
    """Put a model and its tokenizer, already in memory, together with what is known about them."""
    max_length = options.max_length or find_max_length(model.config, tokenizer)
    if options.stride is not None and options.stride > max_length:
        raise ModelSpecError(f"stride={options.stride} is more than the {max_length} tokens that the model reads.")
    return Loaded(
        model=model.eval(),
        tokenizer=tokenizer,
        device=model.device,
        max_length=max_length,
        prefix_token_id=prefix_token(name, tokenizer, options.prefix_token_id),
        info=_describe(name, model, tokenizer, options, max_length),
    )


def find_max_length(config: Any, tokenizer: Any) -> int:
    """How many tokens the model reads at once.

    A composite configuration is asked for its text part: at the top it may state an image encoder's length.
    """
    config = getattr(config, "text_config", None) or config
    for key in ("n_positions", "max_position_embeddings", "n_ctx"):
        if (length := getattr(config, key, None)) is not None:
            return int(length)
    length = getattr(tokenizer, "model_max_length", None)
    return int(length) if length is not None and length < NO_LIMIT else DEFAULT_MAX_LENGTH


def _load_model(source: Source, options: HFOptions, dtype: torch.dtype | str, device: torch.device) -> Any:
    kwargs: dict[str, Any] = {"gguf_file": source.gguf_file} if source.gguf_file else {}
    common = hub_arguments(source, options.trust_remote_code)
    config = transformers.AutoConfig.from_pretrained(source.location, **common, **kwargs)
    quantized = None if source.gguf_file else _quantization(config)
    if options.attn_implementation is not None:
        kwargs["attn_implementation"] = options.attn_implementation
    # Quantized weights are unpacked where they are to stay: most kinds cannot be moved.
    device_map = options.device_map or ({"": device} if quantized else None)
    if source.gguf_file and hasattr(transformers, "GgufConfig"):
        # Some releases keep some architectures packed where a kernel for it is found: other numbers there.
        kwargs["quantization_config"] = transformers.GgufConfig(dequantize=True)
    with quantization_explained(source.location, quantized):
        model = _class(config).from_pretrained(
            source.location, config=config, dtype=dtype, device_map=device_map, **common, **kwargs
        )
    if source.gguf_file:
        _forget_quantization(model)
    return model.to(device) if device_map is None else model


def _class(config: Any) -> Any:
    if getattr(config, "is_encoder_decoder", False):
        return transformers.AutoModelForSeq2SeqLM
    return transformers.AutoModelForCausalLM


def _quantization(config: Any) -> str | None:
    """The method by which the checkpoint's weights are quantized, None where they are not."""
    settings = getattr(config, "quantization_config", None)
    if settings is None:
        return None
    method = settings.get("quant_method") if isinstance(settings, dict) else settings.quant_method
    return str(getattr(method, "value", method))


def _forget_quantization(model: Any) -> None:
    """Weights from a ``.gguf`` file are plain floats once read; the configuration still says otherwise."""
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.is_quantized = False
    model.hf_quantizer = None


def _check_counts(options: HFOptions) -> None:
    for key in ("max_length", "batch_tokens", "batch_size", "stride"):
        value = getattr(options, key)
        if value is not None and value < 1:
            raise ModelSpecError(f"{key}={value} cannot be used. Give a whole number of 1 or more.")
    if options.deterministic and options.batch_tokens is not None and options.batch_tokens < PAGE:
        raise ModelSpecError(
            f"batch_tokens={options.batch_tokens} is too small for deterministic=true. Give {PAGE} or more."
        )


def choose_dtype(name: str, auto: str = "float32") -> torch.dtype:
    """The type called ``name``; ``auto`` is what "auto" stands for."""
    name = auto if name == "auto" else name
    if name not in DTYPES:
        raise ModelSpecError(f"dtype={name} is not known. Use auto or one of {', '.join(DTYPES)}.")
    return DTYPES[name]


def choose_device(name: str, option: str = "device") -> torch.device:
    """The device called ``name``, tried out; "auto" takes the fastest kind there is."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ModelSpecError(f"{option}={name} cannot be used here: {first_line(error)}") from None
    return device


def _full_name(name: str, options: HFOptions) -> str:
    """An adapter makes another model of it."""
    return name if options.peft is None else f"{name}+{options.peft}"


def _describe(name: str, model: Any, tokenizer: Any, options: HFOptions, max_length: int) -> ModelInfo:
    return ModelInfo(
        backend="hf",
        name=name,
        revision=getattr(model.config, "_commit_hash", None) or options.revision,
        dtype=str(model.dtype).removeprefix("torch."),
        max_length=max_length,
        details={
            "architecture": type(model).__name__,
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
            "device": _device_name(model.device),
            "torch": str(torch.__version__),
            "transformers": transformers.__version__,
            "tokenizer_sha256": tokenizer_hash(tokenizer),
            "chat_template_sha256": template_hash(tokenizer),
            **_only_known(stride=options.stride, quantization=_quantization(model.config)),
        },
    )


def _only_known(**facts: Any) -> dict[str, Any]:
    """What few models have is left out of the others' baselines."""
    return {key: value for key, value in facts.items() if value is not None}


def _device_name(device: torch.device) -> str:
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)
