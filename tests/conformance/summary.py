"""Write the docs page on conformance from the rows of a run: ``python -m tests.conformance.summary ROWS > PAGE``."""

from __future__ import annotations

import datetime
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.conformance.table import Row, generalised

_HEAD = """# Conformance with lm-evaluation-harness

<!-- Written by tests/conformance/summary.py from the rows of `make conformance`. -->

`make conformance` builds every task of the catalogue of lm-evaluation-harness 0.4.13 with the reference and with this
plugin, from the same documents, and compares the requests byte for byte; then it gives both the same answers and
compares every metric. Documents are real where they are at hand and made up for the task's columns elsewhere, so this
says that both ask and score alike, not how a model does. The test suite runs the same on 300 tasks of all families,
and on all built-in benchmarks.

Each task is compared without examples, with as many as its file says, and, where the file leaves the number open,
with two.
"""
_FORCED = "with more shots than its file has"


def page(rows: Sequence[Row]) -> str:
    """Write the page."""
    return "\n".join([_HEAD, *_figures(rows), "", *_apart(rows)])


def _figures(rows: Sequence[Row]) -> Iterator[str]:
    counts = Counter(row["status"] for row in rows)
    forced = sum(_FORCED in row["detail"] for row in rows)
    compared = len(rows) - counts["not runnable"]
    unlike = counts["different"] + counts["known difference"] - forced
    requests = sum(row.get("requests", 0) for row in rows)
    real = sum(bool(row.get("real")) for row in rows)
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    yield f"Of {len(rows):,} tasks {compared:,} could be compared ({today}, {os.cpu_count()} CPU cores): {requests:,}"
    yield f"requests, {real:,} tasks on real documents. With the examples that their files ask for,"
    yield f"**{compared - unlike:,} of them ({(compared - unlike) / compared:.2%}) ask the same, byte for byte**."
    yield ""
    yield "| outcome | tasks |"
    yield "|---|---:|"
    yield f"| same requests and metrics | {counts['same'] + forced:,} |"
    yield f"| same requests; the reference cannot score the answers | {counts['same prompts']:,} |"
    yield f"| differ for a reason that is known | {counts['known difference'] - forced:,} |"
    yield f"| different | {counts['different']:,} |"
    yield f"| not comparable here | {counts['not runnable']:,} |"
    yield ""
    yield f"With two examples forced on them, the reference shows a document its own answer in {forced:,} of these"
    yield "tasks. Here it is replaced by another; all other prompts are the same there too."


def _apart(rows: Sequence[Row]) -> Iterator[str]:
    for status, title in (
        ("different", "Different"),
        ("known difference", "Different for a known reason"),
        ("same prompts", "Not scored by the reference"),
        ("not runnable", "Not comparable here"),
    ):
        groups: dict[str, list[str]] = {}
        for row in rows:
            if row["status"] == status and _FORCED not in row["detail"]:
                reason = "".join(letter if letter.isprintable() else "?" for letter in generalised(row["detail"]))
                groups.setdefault(reason, []).append(f"`{row['task']}`")
        yield from (f"## {title}", "") if groups else ()
        for reason, tasks in sorted(groups.items(), key=lambda group: -len(group[1])):
            yield f"- {reason}: {', '.join(tasks)}"
        yield from [""] if groups else ()


if __name__ == "__main__":
    with Path(sys.argv[1]).open(encoding="utf-8") as lines:
        sys.stdout.write(page([json.loads(line) for line in lines]))
