"""Scheduling under pytest-xdist: the items of one task file go to one worker.

Look-ahead may only ask for what is certain to run in the same process; that is a work unit. ``work_unit`` is a
pure function of the node id, so scheduler and workers agree without talking.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
    """The words of the command that started this run; a worker has them from its controller."""
    arguments = getattr(config, "workerinput", {}).get(_COMMAND) or config.invocation_params.args
    return ["pytest", *(str(argument) for argument in arguments)]


class SchedulerPlugin:
    """Registered only where pytest-xdist is loaded."""

    def pytest_configure_node(self, node: Any) -> None:
        """Give a worker what only the controller knows."""
        node.workerinput[_WHOLE_FILES] = node.config.getoption("dist") in _DISTRIBUTIONS
        node.workerinput[_COMMAND] = [str(argument) for argument in node.config.invocation_params.args]

    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> Any:
        """Group by work unit where the user chose no other distribution (``-n`` alone means ``load``)."""
        if config.getoption("dist") != "load":
            return None
        from xdist.scheduler import LoadScopeScheduling

        class WorkUnitScheduling(LoadScopeScheduling):  # type: ignore[misc]  # xdist ships no types
            def _split_scope(self, nodeid: str) -> str:
                return work_unit(nodeid)

        return WorkUnitScheduling(config, log)
