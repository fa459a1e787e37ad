"""Where a run was made: the commit that is checked out, and the CI job where there is one."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pytest_lmeval.baselines.plain import Fields

_GIT_SECONDS = 5.0
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
_LONGEST = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """``commit`` is a whole hash, ``url`` that of the CI job, ``change`` names a pull or merge request; None: unknown.

    ``ci`` is "github", "gitlab" or "ci" for any other.
    """

    commit: str | None = None
    branch: str | None = None
    ci: str | None = None
    url: str | None = None
    change: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Reduce to plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: object, place: str) -> Origin:
        """Restore from :meth:`to_json`. Raises ValueError for anything else."""
        fields = Fields(data, place)
        return cls(**{name: fields.optional_text(name) for name in cls.__dataclass_fields__})


def origin_of(folder: Path, environment: Mapping[str, str] = os.environ) -> Origin:
    """Find out where a run in ``folder`` is made. What CI says comes before what git says: it builds merges."""
    said = {name: value[:_LONGEST] for name, value in _said_by_ci(environment).items() if value}
    commit = said.get("commit", _git(folder, "rev-parse", "HEAD"))
    return Origin(
        commit=commit if _COMMIT.fullmatch(commit) else None,
        branch=said.get("branch", _git(folder, "rev-parse", "--abbrev-ref", "HEAD")) or None,
        ci=said.get("ci"),
        url=said.get("url"),
        change=said.get("change"),
    )


def _said_by_ci(env: Mapping[str, str]) -> dict[str, str]:
    if env.get("GITHUB_ACTIONS") == "true":
        run = "/".join(env.get(f"GITHUB_{name}", "") for name in ("SERVER_URL", "REPOSITORY"))
        number = re.fullmatch(r"refs/pull/(\d+)/\w+", env.get("GITHUB_REF", ""))
        return {
            "ci": "github",
            "commit": env.get("GITHUB_SHA", ""),
            "branch": env.get("GITHUB_HEAD_REF") or env.get("GITHUB_REF_NAME", ""),
            "url": f"{run}/actions/runs/{env['GITHUB_RUN_ID']}" if env.get("GITHUB_RUN_ID") else "",
            "change": number[1] if number else "",
        }
    if env.get("GITLAB_CI") == "true":
        return {
            "ci": "gitlab",
            "commit": env.get("CI_COMMIT_SHA", ""),
            "branch": env.get("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME") or env.get("CI_COMMIT_REF_NAME", ""),
            "url": env.get("CI_JOB_URL", ""),
            "change": env.get("CI_MERGE_REQUEST_IID", ""),
        }
    return {"ci": "ci"} if env.get("CI", "").lower() in ("1", "true") else {}


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_GIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()[:_LONGEST] if done.returncode == 0 else ""
