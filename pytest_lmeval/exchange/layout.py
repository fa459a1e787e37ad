"""Which files belong to one run of lm-evaluation-harness.

``--output_path=DIR --log_samples`` leaves ``DIR/<model>/results_<date>.json`` and, of the same date, a
``samples_<task>_<date>.jsonl`` per task; ``--output_path=NAME.json`` leaves ``NAME_<date>.json`` beside the samples.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_lmeval.errors import RunError

_DATE = r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d(?:\.\d{1,6})?"
_RESULTS = re.compile(rf".+_({_DATE})\.json")
_SAMPLES = re.compile(rf"samples_(.+)_({_DATE})\.jsonl", re.DOTALL)
# lm-eval dumps its results first; a file of published scores and a baseline begin otherwise.
_BEGINNING = re.compile(rb'\s*\{\s*"results"\s*:')
_NAMED = 5


@dataclass(frozen=True, slots=True)
class Output:
    """The ``results`` file of one run, and the files of its ``samples`` by task; empty where none were logged."""

    results: Path
    samples: Mapping[str, Path]


def is_output(path: Path) -> bool:
    """Whether ``path`` is a results file of lm-evaluation-harness, or a folder that has one, itself or one below."""
    return bool(_results_files(path)) if path.is_dir() else _is_results(path)


def find_output(path: Path) -> Output:
    """Find the files of a run: those of a results file, or of the latest one in a folder. Raises RunError.

    A folder with the results of several models holds no one run.
    """
    if not path.exists():
        raise RunError(f"{path}: there is no such file or folder")
    found = _results_files(path) if path.is_dir() else [path]
    if not found:
        raise RunError(
            f"{path}: no results of lm-evaluation-harness: expected results_<date>.json in it, or in a folder below. "
            "They are written with --output_path, and what is needed of documents with --log_samples"
        )
    folders = sorted({file.parent for file in found})
    if len(folders) > 1:
        names = ", ".join(str(folder) for folder in folders[:_NAMED])
        raise RunError(f"{path}: the results of {len(folders)} models: name the folder of one of them ({names})")
    results = max(found, key=_date)
    return Output(results, _samples(results.parent, _date(results)))


def _results_files(folder: Path) -> list[Path]:
    found = [*folder.glob("*.json"), *folder.glob("*/*.json")]
    return [file for file in found if _RESULTS.fullmatch(file.name) and _is_results(file)]


def _is_results(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return _BEGINNING.match(file.read(200)) is not None
    except OSError:
        return False


def _date(results: Path) -> str:
    match = _RESULTS.fullmatch(results.name)
    return match[1] if match else ""


def _samples(folder: Path, date: str) -> dict[str, Path]:
    """The samples of one date, by task; of a results file that was renamed those of the only date there are."""
    matches = [(match, file) for file in folder.glob("samples_*.jsonl") if (match := _SAMPLES.fullmatch(file.name))]
    dates = {match[2] for match, _ in matches}
    wanted = date if date or len(dates) != 1 else dates.pop()
    return {match[1]: file for match, file in sorted(matches, key=lambda found: found[1]) if match[2] == wanted}
