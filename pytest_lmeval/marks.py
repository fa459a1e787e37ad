"""``@pytest.mark.lmeval("task", limit=200, gate={...})`` on a Python test, read as values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest

from pytest_lmeval.errors import SettingsError, UserError
from pytest_lmeval.gate.policy import GatePolicy, GateSyntaxError, parse_gate
from pytest_lmeval.runner import Planned
from pytest_lmeval.state import CATALOGUE, SETTINGS
from pytest_lmeval.tasks.catalogue import Catalogue
from pytest_lmeval.tasks.groups import Group
from pytest_lmeval.tasks.limits import Limit
from pytest_lmeval.tasks.options import EvaluationOptions
from pytest_lmeval.tasks.sampling import Samples
from pytest_lmeval.tasks.spec import TaskSpec

_KEYS = ("limit", "num_fewshot", "gen_kwargs", "seed")


@dataclass(frozen=True, slots=True)
class MarkedTask:
    """The task a test names, with what the mark changes about it."""

    target: TaskSpec | Group
    options: EvaluationOptions
    gate: GatePolicy


def marked_task(item: pytest.Item) -> MarkedTask | None:
    """Read the item's mark. Raises SettingsError for arguments that cannot be used."""
    mark = item.get_closest_marker("lmeval")
    if mark is None or not mark.args:
        return None
    if len(mark.args) != 1 or not isinstance(mark.args[0], str):
        raise SettingsError(f"@pytest.mark.lmeval: expected the name of one task, found {mark.args!r}")
    unknown = [key for key in mark.kwargs if key not in (*_KEYS, "gate")]
    if unknown:
        raise SettingsError(
            f"@pytest.mark.lmeval: unknown argument {unknown[0]!r}. Known: {', '.join((*_KEYS, 'gate'))}"
        )
    changes = {key: mark.kwargs[key] for key in _KEYS if key in mark.kwargs}
    options = override(item.config.stash[SETTINGS].evaluation, **changes)
    return MarkedTask(find_task(item.config.stash[CATALOGUE], mark.args[0]), options, _gate(mark.kwargs.get("gate")))


def _gate(value: object) -> GatePolicy:
    try:
        return parse_gate(value)
    except GateSyntaxError as error:
        raise SettingsError(f"@pytest.mark.lmeval: {error}") from None


def planned_of_mark(item: pytest.Item, scope: str) -> Iterator[Planned]:
    """What a marked test will ask, to be batched with its neighbours; mistakes are reported by the test itself."""
    try:
        marked = marked_task(item)
    except UserError:
        return
    if marked is not None and isinstance(marked.target, TaskSpec):
        yield Planned(marked.target, marked.options, scope)


def find_task(catalogue: Catalogue, name: str) -> TaskSpec | Group:
    """Find one task or group by name. Raises SettingsError where there is none or more than one."""
    documents = catalogue.find(name)
    if len(documents) > 1:
        raise SettingsError(f"{name!r} stands for {len(documents)} tasks; name one of them")
    return catalogue.load(documents[0])


def override(
    options: EvaluationOptions,
    *,
    limit: int | str | None = None,
    num_fewshot: int | None = None,
    gen_kwargs: Mapping[str, Any] | None = None,
    seed: int | None = None,
) -> EvaluationOptions:
    """Return ``options`` with what a test sets itself."""
    return replace(
        options,
        limit=options.limit if limit is None else Limit.parse(limit),
        # A test of its own has no baseline, so nothing that its documents would have to show.
        samples=Samples(),
        num_fewshot=options.num_fewshot if num_fewshot is None else num_fewshot,
        generation_kwargs={**options.generation_kwargs, **(gen_kwargs or {})},
        seed=options.seed if seed is None else seed,
    )
