"""Time to know every task name of an installed lm-eval: ``python benchmarks/catalogue_index.py [RUNS]``.

Each figure is the median over RUNS fresh processes, imports included and the interpreter's start not: the index made
anew, the index from its cache, one task found by name and parsed, and lm-eval's own ``TaskManager``. Files are in the
system's page cache. At the end every file is checked: what the scanner says is what the YAML parser says.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

TASK = "arc_challenge_chat"


def index() -> int:
    """Index the catalogue of lm-eval; return how many names it has."""
    from pytest_lmeval.tasks.index.names import Names
    from pytest_lmeval.tasks.sources import open_sources

    return len(Names(open_sources(("lm_eval",), ())).known)


def one_task() -> int:
    """Find one task and parse it."""
    from pytest_lmeval.tasks.catalogue import Catalogue
    from pytest_lmeval.tasks.sources import open_sources

    catalogue = Catalogue(open_sources(("lm_eval",), ()))
    return len([catalogue.load(document) for document in catalogue.find(TASK)])


def peer() -> int:
    """Let lm-eval do it."""
    from lm_eval.tasks import TaskManager

    return len(TaskManager().all_tasks)


MEASURED: dict[str, Callable[[], int]] = {"index": index, "one_task": one_task, "peer": peer}
ROWS = (
    ("index made anew", "index", False),
    ("index from the cache", "index", True),
    (f"one task ({TASK}) found and parsed", "one_task", True),
    ("lm-eval's TaskManager", "peer", True),
)


def measure(name: str) -> None:
    """Print wall and CPU seconds and the count of one measured function, in this process."""
    wall, cpu = time.perf_counter(), time.process_time()
    count = MEASURED[name]()
    print(json.dumps([time.perf_counter() - wall, time.process_time() - cpu, count]))


def median(name: str, runs: int, cache: Path, *, kept: bool) -> tuple[float, float, int]:
    """Measure in fresh processes, with the cache kept between them or thrown away."""
    found = []
    for _ in range(runs + kept):
        if not kept:
            for path in cache.glob("*"):
                path.unlink()
        environment = {**os.environ, "PYTEST_LMEVAL_CACHE_DIR": str(cache)}
        command = [sys.executable, "-W", "ignore", __file__, "--measure", name]
        output = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
        found.append(json.loads(output.splitlines()[-1]))
    # With a cache the first run is the one that fills it.
    walls, cpus, counts = zip(*found[kept:], strict=True)
    return statistics.median(walls), statistics.median(cpus), counts[0]


def check() -> str:
    """Compare the scanner with the parser over every file."""
    from pytest_lmeval.tasks.index.scanner import KEYS, scan
    from pytest_lmeval.tasks.sources import lm_eval_tasks
    from pytest_lmeval.tasks.yaml_loader import parse_file

    root = lm_eval_tasks()
    assert root is not None
    files = [path for path in root.rglob("*") if path.suffix in ("", ".yaml") and path.is_file()]
    scanned = {path: scan(path.read_text(encoding="utf-8")) for path in files}
    plain = {path: found for path, found in scanned.items() if found is not None}
    for path, found in plain.items():
        data = parse_file(path)[0]
        assert found == {key: True if key == "class" else data[key] for key in KEYS if key in data}, path
    return f"{len(plain):,} of {len(files):,} files are read without the YAML parser, each as the parser reads it"


def main(runs: int) -> None:
    """Print the table."""
    print(f"{'':52}  wall s   CPU s    names")
    with tempfile.TemporaryDirectory() as cache:
        for label, name, kept in ROWS:
            wall, cpu, count = median(name, runs, Path(cache), kept=kept)
            print(f"{label:52}  {wall:6.2f}  {cpu:6.2f}  {count:7,}", flush=True)
    print(check())


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        measure(sys.argv[2])
    else:
        main(int(sys.argv[1]) if sys.argv[1:] else 5)
