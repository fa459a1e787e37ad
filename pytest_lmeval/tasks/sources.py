"""Where task files come from: the project, those shipped here, those of an installed lm-eval, and other folders."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

# The release whose task files and numbers this package is tested with.
LM_EVAL_REQUIREMENT = "lm-eval==0.4.13"

PROJECT, BUILTIN, LM_EVAL = "project", "builtin", "lm_eval"
SOURCE_NAMES = (PROJECT, BUILTIN, LM_EVAL)


@dataclass(frozen=True, slots=True)
class Source:
    """One place that tasks come from. Of two of its folders that have a name, the first wins."""

    name: str
    folders: tuple[Path, ...]


def open_sources(names: Sequence[str], project: Sequence[Path]) -> list[Source]:
    """Make the sources that ``names`` stand for: :data:`SOURCE_NAMES`, and folders. What is not there is left out."""
    sources = [_open(name, project) for name in dict.fromkeys(names)]
    own = {folder.resolve() for source in sources if source.name == PROJECT for folder in source.folders}
    # In this package's own checkout the project's tasks are the shipped ones.
    return [s for s in sources if s.name == PROJECT or not own.issuperset(folder.resolve() for folder in s.folders)]


def _open(name: str, project: Sequence[Path]) -> Source:
    if name == PROJECT:
        return Source(PROJECT, tuple(path for path in project if path.is_dir()))
    if name == BUILTIN:
        return Source(BUILTIN, (builtin_tasks(),))
    if name == LM_EVAL:
        found = lm_eval_tasks()
        return Source(LM_EVAL, (found,) if found else ())
    return Source(name, (Path(name),))


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
