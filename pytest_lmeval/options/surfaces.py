"""The options of what CI shows of a run: GitHub's own places, and the exit code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pytest_lmeval.errors import SettingsError
from pytest_lmeval.options.option import Option

_GITHUB = ("auto", "on", "off")
_EXIT_CODES = ("pytest", "fine")

SURFACE_OPTIONS = (
    Option("github", "|".join(_GITHUB), "job summary and annotations of GitHub Actions (auto: where it runs there)"),
    Option("exit-codes", "|".join(_EXIT_CODES), "fine: 20 where tests fail only for being unsure, 21 only by errors"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SurfaceSettings:
    """``github``: write for GitHub Actions. ``fine``: the exit code tells why a run failed."""

    github: bool = False
    fine: bool = False


def read_surface_settings(given: Mapping[str, Any], environment: Mapping[str, str]) -> SurfaceSettings:
    """Read what was given. Raises SettingsError."""
    github = _one_of("github", given["github"], _GITHUB)
    on_github = environment.get("GITHUB_ACTIONS") == "true"
    return SurfaceSettings(
        github=github == "on" or (github == "auto" and on_github),
        fine=_one_of("exit-codes", given["exit-codes"], _EXIT_CODES) == "fine",
    )


def _one_of(name: str, text: str | None, known: tuple[str, ...]) -> str:
    """Read one of ``known``, whose first is the default."""
    word = (text or known[0]).strip().lower()
    if word not in known:
        raise SettingsError(f"--lm-{name}={text}: expected {', '.join(known[:-1])} or {known[-1]}")
    return word
