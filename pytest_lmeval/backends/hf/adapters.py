"""PEFT adapters: small weights on top of a base model's."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from transformers.utils import ADAPTER_CONFIG_NAME, CONFIG_NAME, cached_file, has_file

from pytest_lmeval.backends.checkpoints.explaining import first_line
from pytest_lmeval.backends.checkpoints.source import Source, find
from pytest_lmeval.errors import ModelSpecError

_WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")

# Either of them makes a tokenizer.
_TOKENIZER_FILES = ("tokenizer_config.json", "tokenizer.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Where the parts of a model are: its own files, its tokenizer's, and those of an adapter on top of it."""

    model: Source
    tokenizer: Source
    adapter: Source | None = None
    adapter_name: str | None = None


def checkpoint(name: str, model: Source, peft: str | None) -> Checkpoint:
    """The parts of the model in ``model``, which may itself be an adapter; ``peft`` names one to put on top.

    Raises ModelSpecError where there is no such adapter or base model.
    """
    own = model.gguf_file is None and has_file(
        model.location, ADAPTER_CONFIG_NAME, revision=model.revision, local_files_only=model.local
    )
    if own:
        _need_peft(name)
        if peft is not None:
            raise ModelSpecError(f"{name} is an adapter already; leave out peft={peft}, or name its base model.")
        return _from_adapter(name, model)
    if peft is None:
        return Checkpoint(model=model, tokenizer=model)
    return Checkpoint(model=model, tokenizer=model, adapter=_named(peft), adapter_name=peft)


def attach(model: Any, checkpoint: Checkpoint, tokens: int) -> None:
    """Put the adapter's weights into ``model``, whose class stays what it is. ``tokens``: the tokenizer's number.

    Raises ModelSpecError where they do not fit.
    """
    adapter = checkpoint.adapter
    if adapter is None or adapter.location == checkpoint.model.location:
        return  # transformers itself puts on an adapter that lies in the folder of a whole model
    _make_room(model, tokens)
    try:
        found = model.load_adapter(adapter.location, adapter_kwargs=_where(adapter), ignore_mismatched_sizes=True)
    except (ValueError, KeyError) as error:
        raise _misfit(checkpoint, first_line(error)) from None
    # Transformers only logs what finds no place.
    if found.mismatched_keys:
        name, theirs, ours = min(found.mismatched_keys)
        raise _misfit(checkpoint, f"{name} is {list(theirs)} in the adapter and {list(ours)} in the model")
    if strange := sorted({*found.missing_keys, *found.unexpected_keys}):
        raise _misfit(checkpoint, f"no counterpart for {strange[0]}")


def _make_room(model: Any, tokens: int) -> None:
    """Take in tokens that came with the adapter. Rows that it does not bring are drawn, always the same ones."""
    if tokens > model.get_input_embeddings().num_embeddings:
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            torch.manual_seed(0)
            model.resize_token_embeddings(tokens)


def describe(checkpoint: Checkpoint) -> dict[str, str | None]:
    """What a reader must know of the adapter: which, on what, and the SHA-256 of its weights where they are here."""
    if checkpoint.adapter is None:
        return {}
    return {
        "peft": checkpoint.adapter_name,
        "peft_base": checkpoint.model.location,
        "peft_sha256": _weights_hash(checkpoint.adapter),
    }


def _from_adapter(name: str, adapter: Source) -> Checkpoint:
    """The checkpoint of a NAME that is an adapter; its folder may have the whole model and a tokenizer too."""
    model = adapter if has_file(adapter.location, CONFIG_NAME, **_where(adapter)) else _base(name, adapter)
    own = any(has_file(adapter.location, file, **_where(adapter)) for file in _TOKENIZER_FILES)
    return Checkpoint(model=model, tokenizer=adapter if own else model, adapter=adapter, adapter_name=name)


def _base(name: str, adapter: Source) -> Source:
    path = Path(cached_file(adapter.location, ADAPTER_CONFIG_NAME, **_where(adapter)))
    base = json.loads(path.read_text(encoding="utf-8")).get("base_model_name_or_path")
    if base:
        try:
            return find(base)
        except ModelSpecError:
            pass
    named = f"names {base} as its base model, which is not here" if base else "does not name its base model"
    raise ModelSpecError(f"The adapter {name} {named}. Give the base model itself: --lm-model=hf:BASE,peft={name}")


def _named(peft: str) -> Source:
    _need_peft(peft)
    source = find(peft)
    if not has_file(source.location, ADAPTER_CONFIG_NAME, **_where(source)):
        place = Path(source.location).absolute() if source.local else f"{peft} on the hub"
        raise ModelSpecError(f"peft={peft}: there is no {ADAPTER_CONFIG_NAME} in {place}, so it is not an adapter.")
    return source


def _where(source: Source) -> dict[str, Any]:
    return {"revision": source.revision, "local_files_only": source.local}


def _need_peft(name: str) -> None:
    if find_spec("peft") is None:
        raise ModelSpecError(f"{name} is a PEFT adapter and needs the package peft. Install it with: pip install peft")


def _misfit(checkpoint: Checkpoint, problem: str) -> ModelSpecError:
    return ModelSpecError(
        f"The adapter {checkpoint.adapter_name} does not fit the model in {checkpoint.model.location}: {problem}"
    )


def _weights_hash(adapter: Source) -> str | None:
    files = (Path(adapter.location) / name for name in _WEIGHTS)
    file = next((file for file in files if file.is_file()), None) if adapter.local else None
    if file is None:
        return None
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
