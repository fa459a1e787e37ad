"""The folders of runs: ``.lmeval/runs/<id>/``, each of them everything that a report needs.

``results.json`` is for other programs (:mod:`~pytest_lmeval.report.json_report`), ``run.json`` what a report is made of
again, ``environment.json`` what the run was made on, and ``samples/`` has a file per task.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from pytest_lmeval.baselines.files import write_atomically
from pytest_lmeval.baselines.plain import Fields
from pytest_lmeval.errors import RunError
from pytest_lmeval.report.json_report import write_json
from pytest_lmeval.report.rows import ReportRow
from pytest_lmeval.report.suites import suite_from_json, suite_to_json
from pytest_lmeval.runs.run import Run, RunFacts
from pytest_lmeval.runs.tasks import TaskRecord, write_task

FORMAT = 1
LAST = "last"
_RUN, _RESULTS, _ENVIRONMENT, _SAMPLES = "run.json", "results.json", "environment.json", "samples"
ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{4}")
_SECOND = len("20261129-201137")
_MAX_BYTES = 256_000_000


def new_id(now: float | None = None) -> str:
    """Make an id that sorts by time (UTC, ``20261129-201137-3fa2``)."""
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime(now))}-{secrets.token_hex(2)}"


def samples_name(nodeid: str, task: str) -> str:
    """Name the file of a task's samples, below its run's folder. One item may evaluate several tasks."""
    readable = re.sub(r"[^\w.-]+", "_", task)[:60]
    digest = hashlib.sha256(f"{nodeid}\n{task}".encode(errors="surrogatepass")).hexdigest()[:8]
    return str(PurePosixPath(_SAMPLES, f"{readable}-{digest}.jsonl.gz"))


def write_samples(folder: Path, record: TaskRecord) -> None:
    """Write what is behind a row that names its samples."""
    assert record.row.samples is not None
    write_task(folder / record.row.samples, record)


def write_run(folder: Path, run: Run) -> None:
    """Write all of a run but its samples, which were written when their tasks were done."""
    write_json(folder / _RESULTS, run)
    write_atomically(folder / _ENVIRONMENT, _dumps(_environment(run.facts)))
    write_atomically(folder / _RUN, _dumps(run_to_json(run)))


def read_run(folder: Path) -> Run:
    """Read a run's folder. Raises RunError."""
    path = folder / _RUN
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise RunError(f"{path}: larger than {_MAX_BYTES:,} bytes: not a run of ours")
        return run_from_json(json.loads(path.read_text(encoding="utf-8")), folder)
    except FileNotFoundError:
        raise RunError(f"{folder}: no recorded run: it has no {_RUN}") from None
    except OSError as error:
        raise RunError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path}: not a recorded run: {error}") from None


def find_run(runs: Path, name: str) -> Run:
    """Open a run by its folder, its id, the beginning of it, or ``last``. Raises RunError, naming those there are."""
    if Path(name).is_dir() and (Path(name) / _RUN).exists():
        return read_run(Path(name))
    known = list(run_folders(runs))
    found = known[-1:] if name == LAST else [folder for folder in known if name and folder.name.startswith(name)]
    if len(found) == 1:
        return read_run(found[0])
    ids = ", ".join(folder.name for folder in reversed(known[-5:])) or "none"
    raise RunError(f"{name}: {len(found) or 'no'} recorded run{'s' * (len(found) != 1)} in {runs}; the latest: {ids}")


def run_folders(runs: Path) -> Iterator[Path]:
    """Yield the folders of the complete runs in ``runs``, the oldest first."""
    found = runs.iterdir() if runs.is_dir() else ()
    yield from sorted((f for f in found if ID.fullmatch(f.name) and (f / _RUN).is_file()), key=_age)


def _age(folder: Path) -> tuple[str, int]:
    """By the second in its id, and of one second by when it was complete: the id's last digits are drawn."""
    return folder.name[:_SECOND], (folder / _RUN).stat().st_mtime_ns


def hide(runs: Path) -> None:
    """As pytest's own cache does: what is of one machine is not for the repository."""
    ignored = runs / ".gitignore"
    if not ignored.exists():
        write_atomically(ignored, "*\n")


def prune(runs: Path, keep: int) -> None:
    """Remove all but the ``keep`` latest runs; never a folder that is not named like one, nor one that is not ended."""
    for folder in list(run_folders(runs))[: -keep or None]:
        shutil.rmtree(folder, ignore_errors=True)


def run_to_json(run: Run) -> dict[str, Any]:
    """Reduce all of a run but its documents to plain values."""
    rows = [row.to_json() for row in run.rows]
    suite = None if run.suite is None else suite_to_json(run.suite)
    return {"format": FORMAT, "facts": run.facts.to_json(), "suite": suite, "rows": rows}


def run_from_json(content: object, folder: Path) -> Run:
    """Restore from :func:`run_to_json` a run in ``folder``. Raises ValueError for anything else."""
    data = Fields(content, "")
    if (version := data.integer("format")) != FORMAT:
        raise ValueError(f"it is of format {version}, and this pytest-lmeval reads format {FORMAT}")
    suite = data.optional_mapping("suite")
    return Run(
        facts=RunFacts.from_json(data.mapping("facts"), "facts"),
        rows=data.each("rows", _row),
        suite=None if suite is None else suite_from_json(suite, "suite"),
        folder=folder,
    )


def _row(data: object, place: str) -> ReportRow:
    row = ReportRow.from_json(Fields({place: data}, "rows").mapping(place))
    path = PurePosixPath(row.samples or _SAMPLES)
    if path.is_absolute() or ".." in path.parts or path.parts[:1] != (_SAMPLES,):
        raise ValueError(f"{place}.samples is {row.samples!r}, expected a file in {_SAMPLES}/")
    return row


def _environment(facts: RunFacts) -> dict[str, Any]:
    answered = None if facts.answered is None else facts.answered.to_json()
    return {"environment": dict(facts.environment), "model": answered, "origin": facts.origin.to_json()}


def _dumps(value: object) -> str:
    return json.dumps(value, indent=1, allow_nan=False) + "\n"
