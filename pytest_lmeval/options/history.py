"""The option of the database that runs are appended to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_lmeval.errors import SettingsError
from pytest_lmeval.options.option import FALSE, Option

FILE = ".lmeval/history.db"

HISTORY_OPTIONS = (
    Option("history", "URL|off", f"append runs to this database (sqlite:///{FILE}), postgresql://… or sqlite:///PATH"),
)
_SQLITE = "sqlite:///"
_POSTGRESQL = re.compile(r"(?:postgres|postgresql)(?:\+psycopg)?://(?=.)")


@dataclass(frozen=True, slots=True, kw_only=True)
class HistorySettings:
    """``where`` is the file of an SQLite database, the URL of a PostgreSQL one, or None for no history.

    The URL may hold a password: nothing prints it.
    """

    where: Path | str | None = field(repr=False)


def read_history_settings(given: Mapping[str, Any], *, root: Path, invoked: Path) -> HistorySettings:
    """Read what was given; ``root`` is where the default lies. Raises SettingsError, which tells no password."""
    text = given["history"]
    if text is None:
        return HistorySettings(where=root / FILE)
    return HistorySettings(where=None if text.strip().lower() in FALSE else read_place(text.strip(), invoked))


def read_place(text: str, folder: Path) -> Path | str:
    """Read a URL; a relative file lies in ``folder``. Raises SettingsError, which tells no password."""
    if text.startswith(_SQLITE) and len(text) > len(_SQLITE):
        return (folder / Path(text.removeprefix(_SQLITE)).expanduser()).absolute()
    if _POSTGRESQL.match(text):
        return _POSTGRESQL.sub("postgresql+psycopg://", text, count=1)
    scheme = text.partition(":")[0][:40] if "://" in text else ""
    found = f"{scheme}://… is neither; expected" if scheme else "expected"
    raise SettingsError(f"--lm-history: {found} sqlite:///PATH, postgresql+psycopg://USER@HOST/DATABASE, or off")


def rooted(text: str | None, root: Path) -> str | None:
    """Let the relative file of a URL from the ini file start at the project's root."""
    relative = text is not None and text.startswith(_SQLITE) and len(text) > len(_SQLITE)
    return f"{_SQLITE}{read_place(text, root)}" if relative and text is not None else text
