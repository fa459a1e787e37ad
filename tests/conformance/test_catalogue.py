"""A fixed sample of the reference's catalogue: same prompts and metrics, from the same documents and answers.

``sample.txt`` names the tasks; ``choose.py`` chose them, by family and by feature. The whole catalogue is
``make conformance``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

SAMPLE = Path(__file__).with_name("sample.txt").read_text(encoding="utf-8").split("\n")[:-1]
CHUNK = 15
# What a task comes to where its prompts and scores are those of the reference.
ALIKE = ("same", "same prompts", "known difference")

Compare = Callable[[Sequence[tuple[str, str, Path | None]]], list[dict[str, Any]]]


# Ids are numbers: `-k` with a benchmark's name in the repository's root means the benchmark alone.
@pytest.mark.parametrize("number", range(-(-len(SAMPLE) // CHUNK)))
def test_requests_and_metrics_are_those_of_the_reference(number: int, compare_tasks: Compare) -> None:
    tasks = [line.split("\t") for line in SAMPLE[number * CHUNK : (number + 1) * CHUNK]]
    rows = compare_tasks([(name, file, None) for name, file in tasks])
    unlike = [f"{row['task']} ({row['file']}): {row['status']}: {row['detail']}" for row in rows if _differs(row)]
    assert not unlike, "\n".join(unlike)


def _differs(row: dict[str, Any]) -> bool:
    return row["status"] not in ALIKE
