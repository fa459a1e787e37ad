"""Where a baseline comes from: told in one line, and the tests' revision that goes into it."""

from __future__ import annotations

import datetime
import functools
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from pytest_lmeval.baselines.record import Baseline

#: After so many days a baseline is called old: engines, drivers and packages have changed several times since.
OLD_DAYS = 180
_GIT_SECONDS = 5.0
_COMMIT = re.compile(r"[0-9a-f]{4,64}")
#: The packages whose versions make the numbers, in the order of what is worth telling: the first that is known is.
_ENGINES = ("vllm", "transformers")
_SHOWN = 40


@functools.cache
def commit_of(folder: Path) -> str | None:
    """Return the short hash of the commit that is checked out in ``folder``; None where there is no git to tell it."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), "rev-parse", "--short", "HEAD"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_GIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    commit = done.stdout.strip()
    return commit if done.returncode == 0 and _COMMIT.fullmatch(commit) else None


def age_in_days(baseline: Baseline, today: datetime.date) -> int | None:
    """Return how many days ago it was recorded, None where its date is none; a date in the future is today."""
    try:
        created = datetime.date.fromisoformat(baseline.created[:10])
    except ValueError:
        return None
    return max(0, (today - created).days)


def is_old(baseline: Baseline, today: datetime.date) -> bool:
    """Whether it is older than ``OLD_DAYS``."""
    age = age_in_days(baseline, today)
    return age is not None and age > OLD_DAYS


def provenance(baseline: Baseline, today: datetime.date | None = None) -> str:
    """Tell in one line when, where and with what a baseline was recorded.

    ``baseline of 2026-08-02 (114 days old, commit 91ab3f0, vllm 0.32.0, float16)``
    """
    facts = ", ".join(_facts(baseline, today or datetime.date.today()))
    what = f"published scores, {_shown(baseline.published)}" if baseline.published is not None else "baseline"
    when = f" of {_shown(baseline.created[:10])}" if baseline.created else ""
    return what + when + (f" ({facts})" if facts else "")


def source_told(baseline: Baseline) -> str:
    """Tell in one line what a run was compared with: a recorded baseline, or whose scores."""
    return f"published scores of {baseline.published}" if baseline.published else provenance(baseline)


def _facts(baseline: Baseline, today: datetime.date) -> Iterator[str]:
    age = age_in_days(baseline, today)
    if age is not None:
        yield _days(age) + (": record it again" if age > OLD_DAYS else "")
    if baseline.commit is not None:
        yield f"commit {_shown(baseline.commit)}"
    if engine := _engine(baseline):
        yield engine
    if dtype := baseline.model.get("dtype"):
        yield _shown(dtype)


def _days(age: int) -> str:
    return "recorded today" if age == 0 else f"{age:,} day{'s' if age > 1 else ''} old"


def _engine(baseline: Baseline) -> str:
    details = baseline.model.get("details")
    known = details if isinstance(details, dict) else {}
    engine = next((package for package in _ENGINES if package in known), None)
    return f"{engine} {_shown(known[engine])}" if engine else _shown(baseline.model.get("backend") or "")


def _shown(value: object) -> str:
    # From a file that anyone may have edited.
    text = str(value)[:_SHOWN]
    return text if text.isprintable() else repr(text)
