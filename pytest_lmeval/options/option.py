"""One option, under its three names, and the forms of value that several options share."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from pytest_lmeval.errors import SettingsError

TRUE = ("1", "true", "yes", "on")
FALSE = ("", "0", "false", "no", "off")


@dataclass(frozen=True, slots=True)
class Option:
    """``metavar`` is None for a flag. ``bare`` is the value of an option that may be given without one."""

    name: str
    metavar: str | None
    help: str
    bare: str | None = None

    @property
    def flag(self) -> str:
        """Its spelling on the command line."""
        return f"--lm-{self.name}"

    @property
    def ini(self) -> str:
        """Its key in the ini file."""
        return f"lm_{self.name.replace('-', '_')}"

    @property
    def variable(self) -> str:
        """Its name in the environment."""
        return f"PYTEST_LMEVAL_{self.name.replace('-', '_').upper()}"


def integer(name: str, text: str | None) -> int | None:
    """Read a whole number. Raises SettingsError."""
    if not text:
        return None
    if not re.fullmatch(r"\d{1,18}", text.strip()):
        raise SettingsError(f"--lm-{name}={text}: expected a whole number")
    return int(text)


def boolean(name: str, value: Any) -> bool:
    """Read true or false; nothing is false. Raises SettingsError."""
    text = str(value if value is not None else "").lower()
    if text not in (*TRUE, *FALSE):
        raise SettingsError(f"--lm-{name}={value}: expected true or false")
    return text in TRUE
