"""Did you mean: what a complaint about an unknown name ends in."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

#: Of long lists that come from data, that many are told.
_LISTED = 20


def suggestion(found: object, known: Iterable[str], what: str) -> str:
    """Return the nearest known name as a question, else all of them after ``what`` they are."""
    return nearest(found, known) or f" {what}: {listed(sorted(known))}."


def nearest(found: object, known: Iterable[str]) -> str:
    """Return the nearest known name as a question, or nothing where none is near."""
    near = difflib.get_close_matches(str(found), sorted(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def missing_key(key: str, entry: object) -> str:
    """Return the key of a mapping that was likely meant to be ``key``, as a remark, or nothing."""
    if not isinstance(entry, Mapping) or key in entry:
        return ""
    near = difflib.get_close_matches(key, [str(name) for name in entry], n=1)
    return f". Is {near[0]!r} meant to be {key!r}?" if near else ""


def listed(names: Iterable[str]) -> str:
    """List names in their order, a bounded number of them, with nothing in them that a terminal would obey."""
    safe = ["".join(char if char.isprintable() else "?" for char in name[:80]) for name in names]
    more = f" and {len(safe) - _LISTED} more" if len(safe) > _LISTED + 1 else ""
    return ", ".join(safe[:_LISTED] if more else safe) + more
