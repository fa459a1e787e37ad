"""Processes in which tasks are compared with lm-evaluation-harness."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

_PROCESSES = 2
_LIMIT_S = 120.0


@pytest.fixture(scope="session")
def compare_tasks() -> Iterator[Callable[[Sequence[tuple[str, str, Path | None]]], list[dict[str, Any]]]]:
    """Compare (task, file of lm-eval's, file of ours or None) and return the rows.

    lm-eval patches and fills what it imports, so it stays out of this process.
    """
    # Here and not at the top: a module that skips shows up in every run of this repository, whatever is selected.
    pytest.importorskip("lm_eval", reason="the oracle, lm-eval==0.4.13, is not installed")
    from tests.conformance.catalogue import ReferenceTask
    from tests.conformance.process import Worker, shared_data

    workers = [Worker(shared_data(), _LIMIT_S) for _ in range(_PROCESSES)]

    def compare(tasks: Sequence[tuple[str, str, Path | None]]) -> list[dict[str, Any]]:
        def part(number: int) -> list[dict[str, Any]]:
            return [workers[number].compare(ReferenceTask(n, f), ours) for n, f, ours in tasks[number::_PROCESSES]]

        with ThreadPoolExecutor(_PROCESSES) as threads:
            return [row for rows in threads.map(part, range(_PROCESSES)) for row in rows]

    yield compare
    for worker in workers:
        worker.close()
