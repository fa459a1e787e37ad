"""Names of files as lm-evaluation-harness spells them; a task's or a model's name is no path."""

from __future__ import annotations

import datetime
import re
from collections.abc import Collection

_NOT_IN_NAMES = re.compile(r'[\x00-\x1f"<>:/|\\?*\[\]]+')
_LONGEST = 150


def file_name(text: str) -> str:
    """Make a part of a path of a text; what no path may have becomes two underscores."""
    return _NOT_IN_NAMES.sub("__", text)[:_LONGEST].strip(". ") or "unnamed"


def model_name(spec: str) -> str:
    """Take the model out of what ``--lm-model`` was given: no backend, no options; a backend alone names itself."""
    backend, _, rest = spec.partition(":")
    return rest.partition(",")[0] or backend


def free_name(text: str, taken: Collection[str]) -> str:
    """Make a part of a path that none of ``taken`` is: two items may evaluate one task."""
    name, number = file_name(text), 1
    while (found := name if number == 1 else f"{name}__{number}") in taken:
        number += 1
    return found


def date_of(seconds: float) -> str:
    """Spell a time (seconds since 1970, UTC) as in ``results_2026-08-02T10-15-00.250000.json``."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).replace(tzinfo=None).isoformat().replace(":", "-")
