"""The rows of a run as Markdown: totals, why tasks are not runnable, by family, and each difference."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

STATUSES = ("same", "same prompts", "known difference", "different", "not runnable")
Row = Mapping[str, Any]


def markdown(rows: Sequence[Row]) -> str:
    """Write the whole report."""
    parts = [_totals(rows), _reasons(rows), _families(rows), _listed(rows, "different", "Different")]
    return "\n".join([*parts, _listed(rows, "known difference", "Known differences")])


def _totals(rows: Sequence[Row]) -> str:
    counts = Counter(row["status"] for row in rows)
    compared = len(rows) - counts["not runnable"]
    alike = counts["same"] + counts["same prompts"] + counts["known difference"]
    share = f"{alike / compared:.2%}" if compared else "none"
    lines = ["# Conformance with lm-evaluation-harness", "", "| outcome | tasks |", "|---|---:|"]
    lines += [f"| {status} | {counts[status]:,} |" for status in STATUSES]
    lines += [f"| **all** | **{len(rows):,}** |", "", f"{compared:,} tasks compared, {share} of them alike", ""]
    requests = sum(row.get("requests", 0) for row in rows)
    standins = sum(bool(row.get("standins")) for row in rows)
    real = sum(bool(row.get("real")) for row in rows)
    lines.append(
        f"{requests:,} requests compared; {real:,} tasks on real documents; "
        f"{standins:,} with a stand-in for a metric that is on the hub alone."
    )
    return "\n".join([*lines, ""])


def _reasons(rows: Iterable[Row]) -> str:
    counts: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for row in rows:
        if row["status"] in ("not runnable", "same prompts"):
            reason = f"{row['status']}: {generalised(row['detail'])}"
            counts[reason] += 1
            examples.setdefault(reason, row["task"])
    lines = ["## Not compared, or in part, and why", "", "| tasks | reason | for example |", "|---:|---|---|"]
    lines += [f"| {count} | {_cell(reason)} | {examples[reason]} |" for reason, count in counts.most_common()]
    return "\n".join([*lines, ""])


def generalised(reason: str) -> str:
    """A reason without what is different from task to task."""
    return re.sub(r"\d+", "N", re.sub(r"'[^']{25,}'|/\S+", "…", reason))[:160]


def _families(rows: Iterable[Row]) -> str:
    counts: dict[str, Counter[str]] = {}
    for row in rows:
        counts.setdefault(Path(row["file"]).parts[0], Counter())[row["status"]] += 1
    lines = ["## By family", "", f"| family | {' | '.join(STATUSES)} |", "|---|" + "---:|" * len(STATUSES)]
    for family, of in sorted(counts.items()):
        lines.append(f"| {family} | {' | '.join(str(of[s] or '') for s in STATUSES)} |")
    return "\n".join([*lines, ""])


def _listed(rows: Iterable[Row], status: str, title: str) -> str:
    lines = [f"## {title}", ""]
    lines += [f"- `{row['task']}`: {_cell(row['detail'])}" for row in rows if row["status"] == status]
    return "\n".join([*lines, ""])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", "⏎")
