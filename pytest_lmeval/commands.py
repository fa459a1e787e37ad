"""What to type next: the command that runs one item again, with everything else that this run was told."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from pytest_lmeval.collection import TaskItem, item_name, target_name
from pytest_lmeval.state import SETTINGS
from pytest_lmeval.tasks.catalogue import name_of
from pytest_lmeval.tasks.groups import Group
from pytest_lmeval.xdist import command_line


def command_for(item: pytest.Item) -> list[str]:
    """Give the words that run the item and nothing else; of a group its tasks too, by whose files it is compared.

    Items are named by node id: ``-k`` looks for a part of a name, and would select others.
    """
    command, *words = command_line(item.config)
    # In front: behind an option whose value may be left out they would be its value.
    words = [command, *_places(item), *words, *_deselecting(item)]
    # Named tasks are added to what is selected, unless that is a task of a package.
    if item.config.stash[SETTINGS].tasks and not _is_packaged(item):
        words.append("--lm-tasks=")
    return words


def _places(item: pytest.Item) -> Iterator[str]:
    file, _, name = item.nodeid.partition("::")
    if not _is_packaged(item):
        # Node ids start at the project's root, arguments where the run was started.
        file = os.path.relpath(item.path, item.config.invocation_params.dir)
    if isinstance(item, TaskItem) and isinstance(item.target, Group):
        if name_of(item.target.spec.document) == item.task_name and item.source == item.path:
            # The file's own group: everything in the file is a part of it.
            yield file
            return
        yield from (f"{file}::{item_name(leaf.task)}" for leaf in item.target.leaves())
    yield f"{file}::{name}"


def _deselecting(item: pytest.Item) -> Iterator[str]:
    """Take back ``-k`` and ``-m`` where they left out tasks of a group that have to be recorded with it."""
    if not isinstance(item, TaskItem) or not isinstance(item.target, Group):
        return
    selected = {other.task_name for other in item.session.items if isinstance(other, TaskItem)}
    if all(target_name(leaf) in selected for leaf in item.target.leaves()):
        return
    for option, value in (("-k", item.config.option.keyword), ("-m", item.config.option.markexpr)):
        if value:
            yield from (option, "")


def _is_packaged(item: pytest.Item) -> bool:
    """Whether the item's node id names no file here, as that of a task that came with a package."""
    return isinstance(item, TaskItem) and not (item.config.rootpath / item.nodeid.partition("::")[0]).exists()
