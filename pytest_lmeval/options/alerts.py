"""The options of alerts: whom to tell of a run's verdict, and when."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pytest_lmeval.errors import SettingsError
from pytest_lmeval.options.option import Option


class NotifyOn(StrEnum):
    """When an alert is sent."""

    CHANGE = "change"
    FAILURE = "failure"
    ALWAYS = "always"


ALERT_OPTIONS = (
    Option("notify", "URL[,URL…]", "send the verdict to these services (Apprise's URLs: slack://…, mailto://…)"),
    Option("notify-on", "|".join(NotifyOn), "when to send it: where the verdict changed (default), failed, or always"),
)
# A comma also stands in URLs: what it separates begins like one.
_BETWEEN = re.compile(r"[\s,;]+(?=[A-Za-z][A-Za-z0-9+.-]*://)")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S")


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertSettings:
    """``urls`` hold tokens: nothing prints them."""

    urls: tuple[str, ...] = field(default=(), repr=False)
    on: NotifyOn = NotifyOn.CHANGE


def read_alert_settings(given: Mapping[str, Any]) -> AlertSettings:
    """Read what was given. Raises SettingsError, which tells no URL."""
    values = given["notify"] or ()
    texts = [values] if isinstance(values, str) else values
    urls = [part.strip(" \t\r\n,;") for text in texts for part in _BETWEEN.split(text)]
    if any(not _URL.match(url) for url in urls):
        raise SettingsError(
            "--lm-notify: expected URLs as Apprise has them, for example slack://TOKEN_A/TOKEN_B/TOKEN_C/#CHANNEL or "
            "json://HOST/PATH; one of those given has no scheme"
        )
    on = given["notify-on"] or NotifyOn.CHANGE.value
    if on not in list(NotifyOn):
        raise SettingsError(f"--lm-notify-on={on}: expected {', '.join(NotifyOn)}")
    return AlertSettings(urls=tuple(dict.fromkeys(urls)), on=NotifyOn(on))
