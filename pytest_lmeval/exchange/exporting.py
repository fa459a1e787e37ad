"""A recorded run in the files of lm-evaluation-harness, for the tools that read them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_lmeval.baselines.files import write_atomically
from pytest_lmeval.errors import RunError
from pytest_lmeval.exchange.exported_results import results_to_json
from pytest_lmeval.exchange.exported_samples import hash_text, samples_of
from pytest_lmeval.exchange.names import date_of, file_name, free_name, model_name
from pytest_lmeval.exchange.owned import own_to_json
from pytest_lmeval.exchange.samples import OWN
from pytest_lmeval.runs.run import Run
from pytest_lmeval.runs.tasks import record_to_json


def export_run(run: Run, folder: Path) -> Path:
    """Write the run below ``folder`` and return its results file. Raises RunError, also where nothing can be written.

    The layout is that of ``--output_path``: ``<model>/results_<date>.json`` and the samples beside it.
    """
    target, date = folder / file_name(model_name(run.facts.model)), date_of(run.facts.started)
    try:
        return _write(run, target, date)
    except OSError as error:
        raise RunError(f"{target}: cannot be written: {error.strerror or error}") from None


def _write(run: Run, target: Path, date: str) -> Path:
    heads: dict[str, Mapping[str, Any]] = {}
    hashes: dict[str, str] = {}
    for record in run.records():
        name = free_name(record.row.task, heads)
        heads[name], *documents = record_to_json(record)
        samples = list(samples_of(record, documents))
        write_atomically(target / f"samples_{name}_{date}.jsonl", "".join(map(_line, samples)))
        hashes[name] = _hash_of(samples)
    content = results_to_json(run, heads, hashes) | {OWN: own_to_json(run, heads)}
    path = target / f"results_{date}.json"
    write_atomically(path, json.dumps(content, indent=2) + "\n")
    return path


def _line(sample: Mapping[str, Any]) -> str:
    # ASCII: an answer may have lone surrogates, which no encoding has.
    return json.dumps(sample) + "\n"


def _hash_of(samples: Sequence[Mapping[str, Any]]) -> str:
    return hash_text("".join(sample[f"{part}_hash"] for sample in samples for part in ("doc", "prompt", "target")))
