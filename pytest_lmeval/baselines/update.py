"""Which baselines a run writes. Apart from the deciding, so that reading the command line stays cheap."""

from __future__ import annotations

from enum import StrEnum


class Update(StrEnum):
    """Those that are missing, also those that no longer hold, or all of the run's tasks."""

    NEW = "new"
    CHANGED = "changed"
    ALL = "all"
