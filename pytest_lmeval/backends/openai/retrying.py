"""What went wrong with a call, for a person, and when it is worth another try."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal

from openai import APIConnectionError, APIStatusError, APITimeoutError, OpenAIError

Kind = Literal["error", "refused", "filtered"]

# Seconds: of the first wait, of the longest, and of the longest that a server may ask for.
FIRST_WAIT = 0.5
LONGEST_WAIT = 30.0
LONGEST_ASKED = 120.0

# Statuses by which servers say that they have too much to do.
OVERLOADED = frozenset({429, 503, 529})

# Other statuses that may be gone the next time.
_PASSING = frozenset({408, 409, 425})

# Codes that come with such a status and do not pass.
_LASTING = ("insufficient_quota", "billing_hard_limit_reached", "access_terminated")

# Codes by which providers say that their filter stopped the prompt or the answer.
_FILTERED = ("content_filter", "content_policy_violation", "data_inspection_failed")

# Characters of a server's message that are shown.
_SHOWN = 300


class CallFailed(Exception):  # noqa: N818 - it is the outcome of one call, not an error of this package
    """A call has no answer that can be used. ``reason`` is for a person; ``status`` is HTTP's, where there was one.

    ``lost`` is whether there was no reply at all.
    """

    def __init__(self, reason: str, *, kind: Kind = "error", status: int | None = None, lost: bool = False) -> None:
        super().__init__(reason)
        self.lost = lost
        self.reason = reason
        self.kind: Kind = kind
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """One attempt's failure. ``passing``: another try may help; ``wait`` is how long the server asks to wait, in s."""

    failure: CallFailed
    passing: bool = False
    overload: bool = False
    wait: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explaining:
    """Puts failures into words. ``secret`` is never in them; ``key_name`` is the variable that holds it."""

    secret: str
    key_name: str
    timeout: float

    def trouble(self, asked: str, error: OpenAIError) -> Trouble:
        """Return what became of ``asked`` (method and address)."""
        if isinstance(error, APITimeoutError) and "Connect" not in type(error.__cause__).__name__:
            return Trouble(failure=self._late(asked), passing=True, overload=True)
        if isinstance(error, APIConnectionError):
            return Trouble(failure=self._unreachable(asked, error), passing=True)
        if isinstance(error, APIStatusError):
            return self._refused(asked, error)
        return Trouble(failure=CallFailed(f"{asked}: {self.shown(str(error))}"))

    def shown(self, text: str) -> str:
        """Return the beginning of a server's text: no line ends, no control characters, no key."""
        line = " ".join(text.split())
        line = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in line)
        line = line.replace(self.secret, "…") if self.secret else line
        return line if len(line) <= _SHOWN else line[:_SHOWN] + "…"

    def _late(self, asked: str) -> CallFailed:
        return CallFailed(
            f"{asked}: no answer within {self.timeout:g} s. The server is slow or overloaded: give timeout=SECONDS or "
            "a lower max_connections.",
            lost=True,
        )

    def _unreachable(self, asked: str, error: APIConnectionError) -> CallFailed:
        cause = self.shown(str(error.__cause__ or error)) or type(error.__cause__ or error).__name__
        said = f"{asked}: the connection failed ({cause.rstrip('.')}). Is the server running at that address?"
        return CallFailed(said, lost=True)

    def _refused(self, asked: str, error: APIStatusError) -> Trouble:
        status, body = error.status_code, _error_of(error.body)
        codes = [code for code in (body.get("code"), body.get("type")) if code in _LASTING or code in _FILTERED]
        message = self.shown(str(body.get("message") or error.message))
        kind: Kind = "filtered" if any(code in _FILTERED for code in codes) else "error"
        said = f"{asked}: the server answered {status} ({message.rstrip('.')}).{self._remedy(status, kind)}"
        passing = not codes and (status in OVERLOADED or status in _PASSING or status >= 500)
        return Trouble(
            failure=CallFailed(said, kind=kind, status=status),
            passing=passing,
            overload=passing and status in OVERLOADED,
            wait=retry_after(error.response.headers),
        )

    def _remedy(self, status: int, kind: Kind) -> str:
        if kind == "filtered":
            return " The provider's filter stopped it."
        if status in (401, 403):
            return f" The key comes from the environment variable {self.key_name} (api_key_env=…)."
        if status == 404:
            return " Check base_url and the model's name."
        if status == 429:
            return " Give requests_per_minute=, tokens_per_minute= or a lower max_connections."
        return ""


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a server asks to wait, from ``retry-after-ms`` or ``Retry-After`` (seconds or a date)."""
    if (milliseconds := _number(headers.get("retry-after-ms"))) is not None:
        return _bounded(milliseconds / 1000)
    text = headers.get("retry-after")
    if (seconds := _number(text)) is not None:
        return _bounded(seconds)
    if text is None:
        return None
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    return _bounded((date - datetime.now(UTC if date.tzinfo else None)).total_seconds())


def delay(attempt: int, asked: float | None, draw: random.Random) -> float:
    """Seconds before the next try after ``attempt`` (0 is the first): exponential, with jitter so that calls spread.

    Never less than the server ``asked`` for.
    """
    longest = min(LONGEST_WAIT, FIRST_WAIT * 2.0**attempt)
    return (asked or 0.0) + longest * draw.uniform(0.5, 1.0)


def _error_of(body: object) -> Mapping[str, Any]:
    """The object that says what was wrong; servers put it at the top or below ``error``."""
    if not isinstance(body, Mapping):
        return {}
    inner = body.get("error", body)
    if isinstance(inner, str):
        return {"message": inner}
    return inner if isinstance(inner, Mapping) else {}


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def _bounded(seconds: float) -> float | None:
    return min(seconds, LONGEST_ASKED) if seconds >= 0 else None
