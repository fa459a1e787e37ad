"""Where task files come from apart from the project: those shipped here, and those of an installed lm-eval."""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path

# The release whose task files and numbers this package is tested with.
LM_EVAL_REQUIREMENT = "lm-eval==0.4.13"


def builtin_tasks() -> Path:
    """Where the shipped task files are: inside an installed wheel, or at the top of a checkout."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "builtin"
    return installed if installed.is_dir() else package.parent / "tasks"


@lru_cache(maxsize=1)
def lm_eval_tasks() -> Path | None:
    """The folder with the task files of the installed lm-eval; None without one. Imports nothing of it."""
    try:
        spec = importlib.util.find_spec("lm_eval")
    except ValueError:  # something that is no package goes by this name in sys.modules
        return None
    places = (spec and spec.submodule_search_locations) or ()
    return next((Path(place).resolve() / "tasks" for place in places if (Path(place) / "tasks").is_dir()), None)
