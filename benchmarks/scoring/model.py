"""One folder with a model that both engines load."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
import transformers

from benchmarks.scoring.architectures import ARCHITECTURES
from pytest_lmeval.backends.checkpoints.quiet import quiet
from pytest_lmeval.backends.checkpoints.source import find
from pytest_lmeval.backends.checkpoints.tokenizers import tokenizer_hash
from pytest_lmeval.backends.demo import NAME, DemoOptions, checkpoint
from pytest_lmeval.backends.hf import HFOptions
from pytest_lmeval.backends.hf.batching import free_memory
from pytest_lmeval.backends.hf.model import choose_dtype, load
from pytest_lmeval.backends.registry import resolve_plugin
from pytest_lmeval.backends.spec import ModelSpec
from pytest_lmeval.errors import ModelSpecError, SettingsError
from pytest_lmeval.suggestions import nearest

SEED = 1234


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """``location`` is a folder or a hub id, ``label`` what a reader calls it; both engines get ``options``."""

    label: str
    location: str
    options: HFOptions


def prepare(spec: ModelSpec, folder: Path) -> Model:
    """Find the model of ``--model``; where only we read its form, save it once below ``folder`` as a checkpoint.

    Raises ModelSpecError and SettingsError.
    """
    _, options = resolve_plugin(spec)
    if isinstance(options, DemoOptions):
        given = {field.name: getattr(options, field.name) for field in fields(options)}
        return _saved(NAME, str(checkpoint()), HFOptions(**given), folder)
    options = _single_device(spec, options)
    if find(spec.name, options.gguf_file).gguf_file is not None:
        return _saved(Path(spec.name).name, spec.name, options, folder)
    label = Path(spec.name).name if Path(spec.name).is_dir() else spec.name
    return Model(label=label, location=spec.name, options=options)


def invent(text: str, folder: Path) -> Model:
    """Make a model of random weights for ``--random NAME[,key=value…]``, in bfloat16 unless ``dtype`` is given.

    The tokenizer is the demo model's: texts are real, so their lengths are too. Raises SettingsError.
    """
    spec = ModelSpec.parse(f"hf:{text}")
    if spec.name not in ARCHITECTURES:
        hint = nearest(spec.name, ARCHITECTURES)
        raise SettingsError(f"--random: there is no {spec.name!r}.{hint} Known: {', '.join(ARCHITECTURES)}")
    options = _single_device(spec, resolve_plugin(spec)[1])
    dtype = choose_dtype(options.dtype, auto="bfloat16")
    place = folder / f"random-{spec.name}-{str(dtype).removeprefix('torch.')}"
    if not place.is_dir():
        tokenizer = _demo_tokenizer()
        _write(place, _random(ARCHITECTURES[spec.name], dtype, tokenizer), tokenizer)
        free_memory()  # the children want all of the device's
    return Model(label=f"{spec.name}, random weights", location=str(place), options=replace(options, dtype="auto"))


def _single_device(spec: ModelSpec, options: Any) -> HFOptions:
    if not isinstance(options, HFOptions):
        raise SettingsError(f"--model={spec}: expected demo or hf:NAME, the backends that run a model in this process")
    if options.device_map is not None:
        raise SettingsError(f"--model={spec}: device_map spreads a model over devices; one device is measured here")
    return options


def _saved(label: str, name: str, options: HFOptions, folder: Path) -> Model:
    place = folder / _slug(label, name, options)
    if not place.is_dir():
        loaded = load(name, replace(options, device="cpu"))
        _write(place, loaded.model, loaded.tokenizer)
    return Model(label=label, location=str(place), options=replace(options, gguf_file=None, dtype="auto"))


def _slug(label: str, name: str, options: HFOptions) -> str:
    """Name a folder after the file it is made of, so that another version of it makes another folder."""
    source = find(name, options.gguf_file)
    facts = (Path(source.location) / (source.gguf_file or "")).resolve()
    state = facts.stat() if facts.is_file() else None
    key = f"{facts} {state and (state.st_size, state.st_mtime_ns)} {options.dtype} {options.revision}"
    return f"{Path(label).stem}-{hashlib.sha256(key.encode()).hexdigest()[:12]}"


def _demo_tokenizer() -> Any:
    file = checkpoint()
    with quiet():
        return transformers.AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)


def _random(architecture: Mapping[str, Any], dtype: torch.dtype, tokenizer: Any) -> Any:
    """Initialize the weights on the fastest device there is: on a CPU eight billion take minutes."""
    settings = dict(architecture)
    config = transformers.AutoConfig.for_model(
        settings.pop("model_type"),
        **settings,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    torch.manual_seed(SEED)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"), quiet():
        return transformers.AutoModelForCausalLM.from_config(config, dtype=dtype)


def _write(place: Path, model: Any, tokenizer: Any) -> None:
    """Save under another name first: a run that was interrupted leaves nothing that looks finished."""
    part = place.with_name(f"{place.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        with quiet():
            model.save_pretrained(part)
            tokenizer.save_pretrained(part)
    except OSError as error:
        raise ModelSpecError(f"The model cannot be saved in {part}: {error}") from None
    if tokenizer_hash(transformers.AutoTokenizer.from_pretrained(part)) != tokenizer_hash(tokenizer):
        raise ModelSpecError(
            f"The tokenizer saved in {part} is not the one that was saved: it would read other tokens."
        )
    part.rename(place)
