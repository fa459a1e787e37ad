"""The options of what a run leaves behind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_lmeval.options.option import Option, integer

#: Of so many runs the documents are kept: some megabytes each.
KEEP = 20
FOLDER = ".lmeval/runs"

RUN_OPTIONS = (Option("keep-runs", "N", f"keep the results and documents of the latest N runs ({KEEP}); 0 keeps none"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """``folder`` has a folder per run, of the ``keep`` latest."""

    folder: Path
    keep: int = KEEP


def read_run_settings(given: Mapping[str, Any], folder: Path) -> RunSettings:
    """Read what was given. Raises SettingsError."""
    keep = integer("keep-runs", given["keep-runs"])
    return RunSettings(folder=folder, keep=KEEP if keep is None else keep)
