"""What a run may change about a task. Apart from the evaluation so that reading the command line stays cheap."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_lmeval.tasks.limits import Limit

DEFAULT_SEED = 1234


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationOptions:
    """What the command line may change about a task; None leaves the file's own setting."""

    limit: Limit | None = None
    num_fewshot: int | None = None
    generation_kwargs: Mapping[str, Any] = field(default_factory=dict)
    seed: int = DEFAULT_SEED
    data_dir: Path | None = None
