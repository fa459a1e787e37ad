"""From ``--lm-model=BACKEND:NAME,key=value`` to an open backend.

Backends are entry points of the group ``pytest_lmeval.backends``, the package's own included. Everything up to
``open_backend`` is cheap: a wrong name, key or value and a missing package are found without importing torch.
"""

from __future__ import annotations

import dataclasses
import difflib
import importlib.util
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import Any, get_args, get_type_hints

from pytest_lmeval.backends.protocol import Backend, BackendPlugin
from pytest_lmeval.backends.spec import ModelSpec
from pytest_lmeval.errors import ModelSpecError

GROUP = "pytest_lmeval.backends"

_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def resolve_plugin(spec: ModelSpec) -> tuple[BackendPlugin, Any]:
    """Find the backend and read its options, without opening it. Raises ModelSpecError."""
    plugin = _plugin(spec)
    if plugin.name_required and not spec.name:
        raise ModelSpecError(f"{spec.option}={spec}: expected a name after the colon, as in {spec.backend}:NAME")
    missing = [module for module in plugin.requires if not _is_installed(module)]
    if missing:
        needs = f"{', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed here"
        raise ModelSpecError(
            f"{spec.option}={spec}: backend {spec.backend!r} needs {needs}.\nInstall with: {plugin.install}"
        )
    return plugin, _options(spec, plugin)


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ModuleNotFoundError, ValueError):  # the parent of a dotted name is missing; a module without a spec
        return module in sys.modules


def open_backend(spec: ModelSpec) -> Backend:
    """Open the model: imports its engine and loads weights. Raises ModelSpecError or BackendError."""
    plugin, options = resolve_plugin(spec)
    return plugin.open(spec.name, options)


def _plugin(spec: ModelSpec) -> BackendPlugin:
    found: dict[str, EntryPoint] = {entry.name: entry for entry in entry_points(group=GROUP)}
    if spec.backend not in found:
        raise ModelSpecError(_unknown_backend(spec, sorted(found)))
    try:
        plugin = found[spec.backend].load()
    except (ImportError, AttributeError) as error:
        raise ModelSpecError(f"{spec.option}={spec}: backend {spec.backend!r} cannot be imported: {error}") from None
    if not isinstance(plugin, BackendPlugin):
        raise ModelSpecError(f"{spec.option}={spec}: {found[spec.backend].value} is not a BackendPlugin")
    return plugin


def _unknown_backend(spec: ModelSpec, known: list[str]) -> str:
    near = difflib.get_close_matches(spec.backend, known, n=1)
    # A model's name alone is the likeliest slip.
    suggestion = f"{near[0]}:{spec.name}" if near else "" if ":" in spec.text else f"hf:{spec.text}"
    hint = f" Did you mean {suggestion}?" if suggestion else ""
    return f"{spec.option}={spec}: unknown backend {spec.backend!r}. Known backends: {', '.join(known)}.{hint}"


def _options(spec: ModelSpec, plugin: BackendPlugin) -> Any:
    hints = get_type_hints(plugin.options)
    known = {f.name for f in dataclasses.fields(plugin.options)} - {plugin.further}
    values: dict[str, Any] = {}
    further: dict[str, str] = {}
    for key, text in spec.arguments.items():
        if key not in known and plugin.further is not None:
            further[key] = text
            continue
        if key not in known:
            near = difflib.get_close_matches(key, sorted(known), n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise ModelSpecError(
                f"{spec.option}={spec}: backend {spec.backend!r} has no key {key!r}.{hint} "
                f"Keys: {', '.join(sorted(known)) or 'none'}"
            )
        values[key] = _value(spec, key, text, hints[key])
    return plugin.options(**values, **({} if plugin.further is None else {plugin.further: further}))


def _value(spec: ModelSpec, key: str, text: str, hint: Any) -> Any:
    """Read a value by the field's annotation: bool, int and float, also as ``int | None``; else it stays text."""
    kinds = get_args(hint) or (hint,)
    kind = next((k for k in _READERS if k in kinds), None)
    if kind is None or str in kinds:
        return text
    read, wanted = _READERS[kind]
    try:
        return read(text)
    except (ValueError, KeyError):
        raise ModelSpecError(f"{spec.option}={spec}: {key} expects {wanted}, found {text!r}") from None


_READERS: dict[type, tuple[Callable[[str], Any], str]] = {
    bool: (lambda text: _BOOLEANS[text.lower()], "true or false"),
    int: (int, "a whole number"),
    float: (float, "a number"),
}
