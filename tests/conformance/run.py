"""Compare the whole catalogue in several processes, resumable, with a time limit for each task.

python -m tests.conformance.run --out .lmeval/conformance [--processes 2] [--limit-s 60] [--only PATTERN]
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import queue
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.conformance.catalogue import ReferenceTask, reference_tasks
from tests.conformance.process import Worker, shared_data
from tests.conformance.table import markdown


def run(tasks: Iterable[ReferenceTask], out: Path, *, data: Path | None, processes: int, limit_s: float) -> Path:
    """Compare ``tasks`` that ``out`` has no row of yet; return the file of rows, one JSON object a line."""
    out.mkdir(parents=True, exist_ok=True)
    rows = out / "rows.jsonl"
    done = {row["task"] for row in read_rows(rows)}
    waiting: queue.Queue[ReferenceTask] = queue.Queue()
    for task in tasks:
        if task.name not in done:
            waiting.put(task)
    with rows.open("a", encoding="utf-8") as file:
        progress = _Progress(waiting.qsize())
        lock = threading.Lock()

        def work() -> None:
            worker = Worker(data, limit_s)
            while True:
                try:
                    task = waiting.get_nowait()
                except queue.Empty:
                    break
                row = worker.compare(task)
                with lock:
                    file.write(json.dumps(row) + "\n")
                    file.flush()
                    progress.one(row["status"])
            worker.close()

        threads = [threading.Thread(target=work) for _ in range(processes)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return rows


def read_rows(file: Path) -> list[dict[str, Any]]:
    """The rows written so far."""
    if not file.is_file():
        return []
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


class _Progress:
    """A line that is rewritten on a terminal, and one a thousand tasks elsewhere."""

    def __init__(self, total: int) -> None:
        self._total, self._counts, self._started = total, {}, time.monotonic()  # type: ignore[var-annotated]

    def one(self, status: str) -> None:
        """Count one more task."""
        self._counts[status] = self._counts.get(status, 0) + 1
        done = sum(self._counts.values())
        terminal = sys.stderr.isatty()
        if not terminal and done % 1000 and done != self._total:
            return
        left = (time.monotonic() - self._started) / done * (self._total - done)
        counts = ", ".join(f"{count} {status}" for status, count in sorted(self._counts.items()))
        text = f"{done}/{self._total} tasks, {left / 60:.0f} min left: {counts}"
        print(f"\r\033[K{text}" if terminal else text, end="" if terminal else "\n", file=sys.stderr, flush=True)


def main() -> int:
    """Run, write the table, and fail where a task differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(".lmeval/conformance"))
    parser.add_argument("--data", type=Path, default=shared_data())
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--limit-s", type=float, default=180.0, help="seconds for one task")
    parser.add_argument("--only", default="*", help="a pattern of task names")
    parser.add_argument("--names", type=Path, help="a file of task names, one a line")
    options = parser.parse_args()
    known = reference_tasks(options.out / "index.json")
    names = set(options.names.read_text(encoding="utf-8").split()) if options.names else set(known)
    tasks = [task for name, task in known.items() if name in names and fnmatch.fnmatchcase(name, options.only)]
    rows = run(tasks, options.out, data=options.data, processes=options.processes, limit_s=options.limit_s)
    table = markdown(read_rows(rows))
    (options.out / "table.md").write_text(table, encoding="utf-8")
    print(table.split("\n## By family")[0])
    return int(any(row["status"] == "different" for row in read_rows(rows)))


if __name__ == "__main__":
    sys.exit(main())
