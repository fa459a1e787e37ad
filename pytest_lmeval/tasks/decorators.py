"""lm-eval's registration decorators, as a task's own module uses them: what it registers is its own.

There is one registry in a process, and in it a name is taken once. Two folders of the reference's catalogue register
the same name, so that after the one is loaded the other cannot be. Here each module registers into its own copy.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, get_args

Kind = Literal["filter", "metric", "metric_agg", "aggregation", "higher_is_better"]
Registries = dict[str, Any]

_REGISTRY = "lm_eval.api.registry"
_own: dict[str, Registries] = {}


@contextmanager
def own_registrations(module_name: str, path: Path) -> Iterator[None]:
    """Collect what the module that is loaded meanwhile, from ``path``, registers."""
    if _REGISTRY.encode() not in path.read_bytes() or importlib.util.find_spec("lm_eval") is None:
        yield
        return
    # Metrics may be registered with the names of its aggregations, which are then to be there.
    importlib.import_module("lm_eval.api.metrics")
    registry = sys.modules[_REGISTRY]
    shared = {kind: getattr(registry, f"{kind}_registry") for kind in get_args(Kind)}
    _own[module_name] = {kind: _copied(registry.Registry, kind, common) for kind, common in shared.items()}
    try:
        _use(registry, _own[module_name])
        yield
    finally:
        _use(registry, shared)


def _use(registry: Any, registries: Registries) -> None:
    for kind, one in registries.items():
        setattr(registry, f"{kind}_registry", one)


def _copied(make: Any, kind: str, common: Any) -> Any:
    copied = make(kind)
    for name, found in common.items():
        copied.register(name, target=found)
    return copied


def registries_of(module_name: str) -> Registries:
    """Return the registries by kind as the module sees them; empty without lm-eval."""
    if module_name in _own:
        return _own[module_name]
    registry = sys.modules.get(_REGISTRY)
    return {kind: getattr(registry, f"{kind}_registry") for kind in get_args(Kind)} if registry else {}
