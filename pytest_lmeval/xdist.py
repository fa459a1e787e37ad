"""Scheduling under pytest-xdist: the items of one task file go to one worker.

Look-ahead may only ask for what is certain to run in the same process; that is a work unit. ``work_unit`` is a
pure function of the node id, so scheduler and workers agree without talking.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pytest_lmeval.options.secret import without_secrets

if TYPE_CHECKING:
    import pytest

_WHOLE_FILES = "lmeval_whole_files"
# Distributions that send all items of a file to the same worker; "load" does by our scheduler.
_DISTRIBUTIONS = ("load", "loadfile", "loadscope", "each", "no")
_COMMAND = "lmeval_command"


def work_unit(nodeid: str) -> str:
    """Return the scope of a node id: the file for benchmark items, the node itself for everything else."""
    path = nodeid.split("::", 1)[0]
    return path if path.endswith((".yaml", ".yml")) else nodeid


def scope_of(item: pytest.Item) -> str:
    """Return the scope within which the item's questions may share batches with those of others.

    Without xdist that is the whole run. Where a user's distribution tears files apart it is the item alone.
    """
    workerinput = getattr(item.config, "workerinput", None)
    if workerinput is None:
        return ""
    return work_unit(item.nodeid) if workerinput.get(_WHOLE_FILES) else item.nodeid


def command_line(config: pytest.Config) -> list[str]:
    """The words of the command that started this run, but for files and node ids; a worker's are its controller's."""
    arguments = getattr(config, "workerinput", {}).get(_COMMAND)
    return ["pytest", *(_arguments(config) if arguments is None else arguments)]


def without_places(words: Sequence[str], places: Sequence[str]) -> list[str]:
    """Drop the files, folders and node ids from a command; the value of an option may be spelled like one, and stays.

    ``places`` are the positional arguments as pytest read them.
    """
    given, found = Counter(places), Counter(words)

    def is_place(at: int) -> bool:
        word, before = words[at], words[at - 1] if at else ""
        return word in given and (found[word] == given[word] or not before.startswith("-"))

    return [word for at, word in enumerate(words) if not is_place(at)]


def _arguments(config: pytest.Config) -> list[str]:
    words = without_places([str(word) for word in config.invocation_params.args], config.option.file_or_dir or ())
    return without_secrets(words)


class SchedulerPlugin:
    """Registered only where pytest-xdist is loaded."""

    def pytest_configure_node(self, node: Any) -> None:
        """Give a worker what only the controller knows."""
        node.workerinput[_WHOLE_FILES] = node.config.getoption("dist") in _DISTRIBUTIONS
        node.workerinput[_COMMAND] = _arguments(node.config)

    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> Any:
        """Group by work unit where the user chose no other distribution (``-n`` alone means ``load``)."""
        if config.getoption("dist") != "load":
            return None
        from xdist.scheduler import LoadScopeScheduling

        class WorkUnitScheduling(LoadScopeScheduling):  # type: ignore[misc]  # xdist ships no types
            def _split_scope(self, nodeid: str) -> str:
                return work_unit(nodeid)

        return WorkUnitScheduling(config, log)
