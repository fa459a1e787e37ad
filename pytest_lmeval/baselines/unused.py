"""Baselines that no task reads any more. They are listed, never deleted."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

from pytest_lmeval.baselines.files import read_baseline
from pytest_lmeval.baselines.location import baseline_path
from pytest_lmeval.errors import BaselineError


def unused_baselines(folder: Path, tasks: Collection[str], is_known: Callable[[str], bool]) -> list[Path]:
    """Find the baselines in ``folder`` whose task exists nowhere, sorted.

    ``tasks`` are names that are known to exist; of any other name ``is_known`` is asked. A file that cannot be read is
    not listed: which task it belongs to, only its content tells for certain.
    """
    used = {baseline_path(folder, task).name for task in tasks}
    files = sorted(path for path in folder.glob("*.json") if path.name not in used)
    return [path for path in files if not is_known(path.stem) and _is_orphan(path, is_known)]


def _is_orphan(path: Path, is_known: Callable[[str], bool]) -> bool:
    try:
        baseline = read_baseline(path)
    except BaselineError:
        return False
    return baseline is not None and not is_known(baseline.task)
