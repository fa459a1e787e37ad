"""The engine's arguments, once as text and then as each side takes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from benchmarks.scoring.model import Model
from pytest_lmeval.backends.hf import HFOptions
from pytest_lmeval.backends.spec import ModelSpec


def pairs(engine: str) -> dict[str, str]:
    """Take ``key=value,…`` apart. Raises ModelSpecError."""
    return dict(ModelSpec.parse(f"vllm:x,{engine}").arguments) if engine else {}


def backend(model: str, engine: str) -> str:
    """The model as ``--lm-model`` takes it. The engine stays in its process, where its tokens can be counted."""
    given = {**pairs(engine), "in_process": "true"}
    return ",".join([f"vllm:{model}", *(f"{key}={value}" for key, value in given.items())])


def keywords(engine: str) -> dict[str, Any]:
    """For lm-eval's class: numbers as numbers, true and false as such."""
    return {key: yaml.safe_load(value) for key, value in pairs(engine).items()}


def words(engine: str) -> list[str]:
    """The arguments on a server's command line, where booleans are options without a value."""
    found = []
    for key, value in keywords(engine).items():
        option = key.replace("_", "-")
        if isinstance(value, bool):
            found.append(f"--{option}" if value else f"--no-{option}")
        else:
            found += [f"--{option}", pairs(engine)[key]]
    return found


def plain(name: str, engine: str) -> Model:
    """The model as the tokens are counted with: its type and length are the engine's."""
    known = pairs(engine)
    length = known.get("max_model_len")
    options = HFOptions(dtype=known.get("dtype", "auto"), max_length=int(length) if length else None)
    return Model(label=Path(name).name if Path(name).is_dir() else name, location=name, options=options)
