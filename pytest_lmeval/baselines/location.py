"""Where a baseline lies: ``<root>/<model>/<task>.json``, with names that are safe on every file system."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

_ADAPTER = re.compile(r",peft=([^,]+)")
_FOREIGN = re.compile(r"[^A-Za-z0-9._-]+")
#: Far below what file systems allow (255), with room for endings and temporary names.
_LONGEST = 120


def baseline_key(spec: str) -> str:
    """Name the folder of a model: ``hf:org/name,dtype=float16`` -> ``hf-org--name``, ``demo`` -> ``demo``.

    Arguments do not count: a change of precision is compared with the same baseline. An adapter is the exception,
    as it makes another model: ``hf:gpt2,peft=./runs/lora`` -> ``hf-gpt2-peft-lora``. Of a path only the
    last part counts, so a checkpoint may lie elsewhere on another machine. A path is told by its spelling
    and not by looking: ``a/b`` is a hub's name even where there is such a folder.
    """
    model, _, arguments = spec.partition(",")
    backend, colon, name = model.partition(":")
    if not colon:
        return safe_name(backend)
    adapter = _ADAPTER.search(f",{arguments}")
    return safe_name(f"{backend}-{_model_name(name)}" + (f"-peft-{_model_name(adapter[1])}" if adapter else ""))


def baseline_path(folder: Path, task: str) -> Path:
    """Place the baseline of ``task`` in the folder of its model."""
    return folder / f"{safe_name(task)}.json"


def safe_name(name: str) -> str:
    """Spell a name with letters, digits, ``.``, ``_`` and ``-``: one path component, never hidden or empty."""
    flat = _FOREIGN.sub("_", re.sub(r"[/\\]+", "--", name)).strip(".")
    if len(flat) > _LONGEST:
        # Cut names must stay different where the names were.
        flat = f"{flat[:_LONGEST]}-{hashlib.sha256(name.encode(errors='replace')).hexdigest()[:8]}"
    return flat or "unnamed"


def _model_name(name: str) -> str:
    parts = [part for part in re.split(r"[/\\]+", name) if part not in ("", ".", "..")]
    if not parts:
        return "local"
    return parts[-1] if _is_path(name) else "/".join(parts)


def _is_path(name: str) -> bool:
    return name[:1] in ("/", "\\", ".", "~") or "\\" in name or name.strip("/").count("/") > 1 or ":" in name[:2]
