"""The built-in benchmarks against the reference's tasks of the same name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from pytest_lmeval.tasks.sources import builtin_tasks
from pytest_lmeval.tasks.yaml_loader import read_task_file

FILES = sorted(path.relative_to(builtin_tasks()).as_posix() for path in builtin_tasks().rglob("*.yaml"))
CHUNK = 12
# Benchmarks of ours alone.
WITHOUT_NAMESAKE = {"demo_completion", "demo_facts"}


# Ids are numbers: `-k` with a benchmark's name in the repository's root means the benchmark alone.
@pytest.mark.parametrize("number", range(-(-len(FILES) // CHUNK)))
def test_a_benchmark_of_ours_is_the_one_of_the_reference(
    number: int, compare_tasks: Callable[[Sequence[tuple[str, str, Path | None]]], list[dict[str, Any]]]
) -> None:
    known = reference_files()
    named = [(task_name(file), builtin_tasks() / file) for file in FILES[number * CHUNK : (number + 1) * CHUNK]]
    ours = {name: path for name, path in named if name is not None and name not in WITHOUT_NAMESAKE}
    assert not ours.keys() - known.keys(), "not in the reference's catalogue: list them in WITHOUT_NAMESAKE"
    rows = compare_tasks([(name, known[name], path) for name, path in ours.items()])
    unlike = [f"{row['task']}: {row['status']}: {row['detail']}" for row in rows if row["status"] not in ALIKE]
    assert not unlike, "\n".join(unlike)


# Some metrics of lm-eval are on the hub alone; then prompts are what is compared.
ALIKE = ("same", "known difference", "same prompts")


def task_name(file: str) -> str | None:
    """The task's name; None for a group."""
    document = read_task_file(builtin_tasks() / file)
    return None if document is None or "group" in document.data else str(document.data["task"])


@cache
def reference_files() -> dict[str, str]:
    from tests.conformance.catalogue import reference_tasks

    return {name: task.file for name, task in reference_tasks().items()}
