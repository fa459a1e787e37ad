"""One source's settings, from what somebody wrote: in a task file, an ini file, on the command line."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

from pytest_lmeval.gate.margin import Margin
from pytest_lmeval.gate.settings import PRESETS, Consequence, FloorMode, Layer, Mode

SHARE_PATTERN = r"(\d+(?:\.\d*)?|\.\d+)(%)?"


class SettingError(ValueError):
    """A setting that cannot be used: ``key`` and ``problem`` are for whoever knows where it was written."""

    def __init__(self, key: str, problem: str) -> None:
        self.key = key
        self.problem = problem
        super().__init__(f"{key}: {problem}")


def read_layer(values: Mapping[str, object]) -> Layer:
    """Read settings by name. Raises SettingError for a value that means nothing; unknown names are the caller's."""
    return Layer(**{key: _read(key, value) for key, value in values.items()})


def _read(key: str, value: object) -> Any:
    try:
        return _READERS[key](value)
    except ValueError as error:
        raise SettingError(key, str(error)) from None


def _choice(kind: type[StrEnum]) -> Callable[[object], StrEnum]:
    def read(value: object) -> StrEnum:
        # A bare `off` is the boolean false to YAML 1.1.
        text = "off" if value is False else value
        known = [member.value for member in kind]
        if text not in known:
            raise ValueError(_unknown(value, known))
        return kind(str(text))

    return read


def _preset(value: object) -> str:
    text = "off" if value is False else value
    if not isinstance(text, str) or text not in PRESETS:
        raise ValueError(_unknown(value, list(PRESETS)))
    return text


def _alpha(value: object) -> float:
    number = share(value)
    if not 0 < number < 0.5:
        raise ValueError(f"expected a rate between 0 and 0.5, as in 0.01, found {value!r}")
    return number


def share(value: object) -> float:
    """Read ``0.01`` or ``1%``. Raises ValueError."""
    text = str(value).strip()
    match = None if isinstance(value, bool) else re.fullmatch(SHARE_PATTERN, text)
    number = float(match[1]) / (100 if match[2] else 1) if match else -1.0
    if not 0 <= number <= 1:
        raise ValueError(f"expected a share, as in 0.01 or 1%, found {value!r}")
    return number


def _unknown(found: object, known: list[str]) -> str:
    close = difflib.get_close_matches(str(found), known, n=1)
    hint = f". Did you mean {close[0]!r}?" if close else ""
    return f"unknown value {found!r}; known: {', '.join(known)}{hint}"


_READERS: Mapping[str, Callable[[object], Any]] = {
    "preset": _preset,
    "mode": _choice(Mode),
    "margin": Margin.parse,
    "min_effect": Margin.parse,
    "alpha": _alpha,
    "alpha_warn": _alpha,
    "on_inconclusive": _choice(Consequence),
    "on_drift": _choice(Consequence),
    "max_error_rate": share,
    "floor": _choice(FloorMode),
}
SETTING_KEYS = tuple(_READERS)
