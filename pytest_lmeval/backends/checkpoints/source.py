"""From the NAME in ``--lm-model=hf:NAME`` to where its files are."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from pytest_lmeval.errors import ModelSpecError

# What a folder with a model has: a configuration, or that of an adapter to a model elsewhere.
_DESCRIPTIONS = ("config.json", "adapter_config.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """``location`` is a folder or a hub id; ``local`` says which. ``gguf_file`` is relative to it.

    ``revision`` is a branch, tag or commit of a repository of the hub.
    """

    location: str
    local: bool
    gguf_file: str | None = None
    revision: str | None = None


def find(name: str, gguf_file: str | None = None, revision: str | None = None) -> Source:
    """Where the model called ``name`` is: a ``.gguf`` file, a folder, or else a repository of the hub."""
    path = Path(name).expanduser()
    if path.suffix.lower() == ".gguf":
        source = _file(name, path, gguf_file)
    elif path.is_dir():
        source = Source(location=str(path), local=True, gguf_file=_inside(path, gguf_file))
    elif path.exists():
        raise ModelSpecError(f"{path.absolute()} is neither a folder nor a .gguf file, so it is not a model.")
    elif _looks_like_path(name):
        raise ModelSpecError(f"There is no model folder at {path.absolute()}.")
    else:
        source = Source(location=name, local=False, gguf_file=gguf_file, revision=revision)
    if source.gguf_file is not None and find_spec("gguf") is None:
        raise ModelSpecError("Reading a .gguf file needs the package gguf. Install it with: pip install gguf")
    return source


def _file(name: str, path: Path, gguf_file: str | None) -> Source:
    if gguf_file is not None:
        raise ModelSpecError(f"{name!r} is a .gguf file already; leave out gguf_file={gguf_file}.")
    if not path.is_file():
        raise ModelSpecError(f"There is no .gguf file at {path.absolute()}.")
    return Source(location=str(path.parent), local=True, gguf_file=path.name)


def _inside(folder: Path, gguf_file: str | None) -> str | None:
    if gguf_file is not None and not (folder / gguf_file).is_file():
        raise ModelSpecError(f"There is no file {gguf_file} in {folder.absolute()}.")
    return gguf_file


def check_folder(source: Source) -> None:
    """Tell a folder of something else from a model: transformers would complain of its tokenizer, at length."""
    folder = Path(source.location)
    described = any((folder / name).is_file() for name in _DESCRIPTIONS)
    if source.local and source.gguf_file is None and not described:
        files = sorted(path.name for path in folder.glob("*.gguf"))
        hint = f" Give its .gguf file by name, as in {folder / files[0]}." if files else ""
        raise ModelSpecError(f"There is no config.json in {folder.absolute()}, so it is not a model.{hint}")


def _looks_like_path(name: str) -> bool:
    return name.startswith((".", "/", "~", os.sep)) or Path(name).is_absolute()
