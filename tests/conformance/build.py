"""Rows on which lm-evaluation-harness itself can build and score a task: real ones, or made up and mended."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets

from tests.conformance.documents import Making, make_split
from tests.conformance.infer import infer, learn
from tests.conformance.known import overlay
from tests.conformance.reference import Reference, load_config
from tests.conformance.shapes import Shape

_REAL_ROWS = 24
# Copies of a dataset under another name.
_COPIES = {"wis-k/instruction-following-eval": "google/IFEval"}
_LEARNING = 6
# Nastiest first; a task that cannot read such documents gets plainer ones.
_VARIANTS = tuple(
    Making(spice=spice, positions=positions, rows=rows)
    for rows in (8, 60)
    for spice in (2, 1, 0)
    for positions in (4, 2, 1)
)


class NotBuildableError(Exception):
    """lm-eval builds this task on none of the documents that were tried."""


@dataclass(frozen=True)
class Built:
    """A task as the reference built it, and on what."""

    reference: Reference
    rows: Mapping[str, Any]
    real: bool


def build(path: Path, data: Path | None) -> Built:
    """Build lm-eval's side. Raises NotBuildableError with the first failure."""
    config = load_config(path)
    names = splits_of(config)
    real = _real_rows(config, names, data)
    if real is not None:
        return Built(_checked(path, real), real, True)
    # A class reads its columns itself: they are known, or they are not.
    shape = overlay(Shape("document") if "class" in config else infer(config), config)
    return _made_up(path, shape, names, config)


def splits_of(config: Mapping[str, Any]) -> list[str]:
    """Every split the file names, or the usual ones where a class knows them."""
    if "class" in config:
        return ["train", "validation", "test"]
    fewshot = config.get("fewshot_config")
    named = [config.get(f"{kind}_split") for kind in ("training", "validation", "test", "fewshot")]
    named.append(fewshot.get("split") if isinstance(fewshot, Mapping) else None)
    return list(dict.fromkeys(name for name in named if name))


def _made_up(path: Path, shape: Shape, names: list[str], config: Mapping[str, Any]) -> Built:
    first: Exception | None = None
    more = max(8, (config.get("num_fewshot") or 0) + 3)
    for making in _VARIANTS:
        for _ in range(_LEARNING):
            try:
                making = Making(making.seed, making.spice, making.positions, max(making.rows, more))
                rows = {name: _dataset(make_split(shape, making, name)) for name in names}
                return Built(_checked(path, rows), rows, False)
            except Exception as error:  # noqa: BLE001 - the task's own code, on documents it was not written for
                first = first or error
                if not learn(error, shape):
                    break
    raise NotBuildableError(str(first)) from first


def _checked(path: Path, rows: Mapping[str, Any]) -> Reference:
    """Build, and make the requests once: what fails there fails here."""
    reference = Reference(load_config(path), rows)
    reference.requests(0)
    return reference


def _dataset(rows: list[dict[str, Any]]) -> Any:
    return datasets.Dataset.from_list(rows or [{}])


def _real_rows(config: Mapping[str, Any], names: list[str], data: Path | None) -> dict[str, Any] | None:
    path, name = config.get("dataset_path"), config.get("dataset_name")
    if data is None or not isinstance(path, str):
        return None
    folder = data / _COPIES.get(path, path) / (name or "default")
    files = {file.stem: file for file in sorted(folder.glob("*.jsonl"))} if folder.is_dir() else {}
    if not files:
        return None
    return {split: _dataset(_read(files, split, place)) for place, split in enumerate(names)}


def _read(files: Mapping[str, Path], split: str, place: int) -> list[dict[str, Any]]:
    """A split that is not here has later documents of another one: no document is in two splits."""
    skipped = 0 if split in files else (place + 1) * _REAL_ROWS
    rows = list(_lines(files.get(split, next(iter(files.values()))), skipped))
    return rows or list(_lines(files.get(split, next(iter(files.values()))), 0))


def _lines(file: Path, skipped: int) -> Iterator[dict[str, Any]]:
    with file.open(encoding="utf-8") as lines:
        for line in itertools.islice(lines, skipped, skipped + _REAL_ROWS):
            yield json.loads(line)
