"""How fast models were here: a small file that each run leaves behind, for the plan of the next one.

It lies in ``.lmeval/speed.json`` below the project's root. Nothing depends on it: a file that cannot be written is not,
and one that cannot be read counts as none.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pytest_lmeval.baselines.files import write_atomically
from pytest_lmeval.report.rows import ReportRow
from pytest_lmeval.state import SETTINGS

_PLACE = Path(".lmeval", "speed.json")
_MAX_BYTES = 100_000
#: Of that many models the latest runs are kept.
_MODELS = 64
_MOST = 1e15


@dataclass(frozen=True, slots=True)
class Speed:
    """``tokens`` were read and written in ``seconds``; without the time to open the model."""

    tokens: int
    seconds: float

    @property
    def rate(self) -> float:
        """Tokens per second."""
        return self.tokens / self.seconds


class SpeedPlugin:
    """Keeps how fast this run's model was; only the process with the terminal writes."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._is_worker = hasattr(config, "workerinput")
        self._tokens = 0
        self._seconds = 0.0

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Add what a report's rows say; groups repeat their members and have neither tokens nor seconds."""
        if self._is_worker:
            return
        for row in (ReportRow.from_json(data) for data in getattr(report, "lmeval_rows", ())):
            if row.tokens > 0:
                self._tokens += row.tokens
                self._seconds += row.seconds

    def pytest_sessionfinish(self) -> None:
        """Write the file."""
        if self._tokens and self._seconds > 0:
            model = str(self._config.stash[SETTINGS].model)
            record(self._config.rootpath, model, Speed(self._tokens, self._seconds))


def record(root: Path, model: str, speed: Speed) -> None:
    """Remember the speed of a model's latest run, if the project's folder can be written."""
    speeds = {name: kept for name, kept in _read(root).items() if name != model}
    speeds[model] = speed
    latest = dict(list(speeds.items())[-_MODELS:])
    data = {name: {"tokens": kept.tokens, "seconds": round(kept.seconds, 3)} for name, kept in latest.items()}
    path = root / _PLACE
    try:
        write_atomically(path, json.dumps(data, indent=1) + "\n")
        # As pytest's own cache does: what is of one machine is not for the repository.
        if not path.with_name(".gitignore").exists():
            write_atomically(path.with_name(".gitignore"), "*\n")
    except OSError:
        return  # a folder of somebody else's: the next plan has no times


def recorded(root: Path, model: str) -> Speed | None:
    """Return how fast the model was in its latest run in this project, None where there is no such record."""
    return _read(root).get(model)


def _read(root: Path) -> dict[str, Speed]:
    try:
        with (root / _PLACE).open("rb") as file:
            text = file.read(_MAX_BYTES + 1)
        data = json.loads(text) if len(text) <= _MAX_BYTES else None
    except (OSError, ValueError, RecursionError):
        return {}
    entries = data.items() if isinstance(data, dict) else ()
    return {name: speed for name, entry in entries if (speed := _speed(entry)) is not None}


def _speed(entry: object) -> Speed | None:
    if not isinstance(entry, dict):
        return None
    tokens, seconds = _number(entry.get("tokens")), _number(entry.get("seconds"))
    return Speed(int(tokens), seconds) if tokens >= 1 and seconds > 0 else None


def _number(value: object) -> float:
    usable = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < _MOST
    return float(value) if usable else 0.0  # type: ignore[arg-type]
