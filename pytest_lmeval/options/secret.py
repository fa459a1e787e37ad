"""Options whose values may hold passwords and tokens: no report and no printed command repeats them."""

from __future__ import annotations

from collections.abc import Sequence

SECRET = ("history", "notify")
_FLAGS = tuple(f"--lm-{name}" for name in SECRET)
_KEYS = tuple(f"lm_{name}=" for name in SECRET)
_OVERRIDES = ("-o", "--override-ini")


def without_secrets(words: Sequence[str]) -> list[str]:
    """Drop these options from a command, however they were given."""
    kept: list[str] = []
    rest = iter(words)
    for word in rest:
        if word in _FLAGS:
            next(rest, None)
        elif word in _OVERRIDES:
            value = next(rest, "")
            kept += [] if value.startswith(_KEYS) else [word, value]
        elif not _is_secret(word):
            kept.append(word)
    return kept


def _is_secret(word: str) -> bool:
    given = word.removeprefix("--override-ini=").removeprefix("-o")
    return word.startswith(tuple(f"{flag}=" for flag in _FLAGS)) or (given != word and given.startswith(_KEYS))
