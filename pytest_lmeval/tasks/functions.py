"""Resolve ``!function module.name``: code that stands next to the task file.

It is code, so it loads only from files below the task file's folder or, under the module path that the reference's
own files use, from the catalogue of an installed ``lm_eval``. A module is loaded once in a process.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

from pytest_lmeval.errors import TaskFileError
from pytest_lmeval.tasks.decorators import own_registrations
from pytest_lmeval.tasks.yaml_loader import FunctionReference

_CATALOGUE = "lm_eval.tasks."

# Packages whose name differs from the module's.
_PACKAGES = {
    "antlr4": "antlr4-python3-runtime==4.11",
    "bs4": "beautifulsoup4",
    "lm_eval": "lm-eval",
    "math_verify": "math-verify",
    "rouge_score": "rouge-score",
    "sklearn": "scikit-learn",
}

_modules: dict[tuple[Path, int], ModuleType] = {}


@lru_cache(maxsize=1024)
def resolve(reference: FunctionReference) -> Callable[..., Any]:
    """Import the function a task file names. Raises TaskFileError naming what is missing."""
    module_name, _, name = reference.qualified_name.rpartition(".")
    if not module_name:
        raise _error(reference, "expected 'module.function'")
    module = _module(reference, module_name)
    try:
        found = getattr(module, name)
    except AttributeError:
        raise _error(reference, f"{module.__file__} has no {name!r}") from None
    if not callable(found):
        raise _error(reference, f"{name!r} in {module.__file__} is not callable")
    return found  # type: ignore[no-any-return]


def module_name(reference: FunctionReference) -> str:
    """Import the module of the function a task file names, and return its name in ``sys.modules``."""
    return _module(reference, reference.qualified_name.rpartition(".")[0]).__name__


def _module(reference: FunctionReference, module_name: str) -> ModuleType:
    folder = reference.path.parent.resolve()
    path = (folder / (module_name.replace(".", "/") + ".py")).resolve()
    if path.is_relative_to(folder) and path.is_file():
        return _load(reference, path)
    if not module_name.startswith(_CATALOGUE):
        raise _error(
            reference,
            f"there is no {path.name} for it below {folder.name}/. Code loads only from files next to the task; to use "
            "a function of a package, import it in such a file",
        )
    try:
        return importlib.import_module(module_name)
    except ImportError as error:
        raise _error(reference, _missing(module_name, error)) from None


def _load(reference: FunctionReference, path: Path) -> ModuleType:
    key = (path, path.stat().st_mtime_ns)
    if key not in _modules:
        name = _name(path)
        loaded = sys.modules.get(name)
        # The reference itself may have imported a module of its catalogue, which may register itself but once.
        _modules[key] = loaded if loaded and loaded.__file__ == str(path) else _import(reference, path, name)
    return _modules[key]


def _name(path: Path) -> str:
    """In the catalogue the module's own name; else one that carries the path, as two folders may have a `utils.py`."""
    catalogue = _catalogue()
    if catalogue is not None and path.is_relative_to(catalogue):
        return _CATALOGUE + ".".join(path.relative_to(catalogue).with_suffix("").parts)
    return f"pytest_lmeval_task_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"


@lru_cache(maxsize=1)
def _catalogue() -> Path | None:
    spec = importlib.util.find_spec("lm_eval")
    places = spec.submodule_search_locations if spec is not None else None
    return Path(next(iter(places))).resolve() / "tasks" if places else None


def _import(reference: FunctionReference, path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise _error(reference, f"{path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    # Registered before it runs: dataclasses and pickling look their module up by name.
    sys.modules[name] = module
    try:
        with own_registrations(name, path):
            spec.loader.exec_module(module)
    except ImportError as error:
        del sys.modules[name]
        raise _error(reference, _missing(path.name, error)) from None
    except SyntaxError as error:
        del sys.modules[name]
        raise TaskFileError(path, error.lineno, f"not valid Python: {error.msg}") from None
    except Exception as error:  # the module's own code may raise anything
        del sys.modules[name]
        raise _error(reference, f"{path.name} cannot be imported: {type(error).__name__}: {error}") from error
    return module


def _missing(importer: str, error: ImportError) -> str:
    """Say which package to install; a name that a package lacks is told as Python tells it."""
    module = (error.name or "").partition(".")[0]
    if not module or importlib.util.find_spec(module) is not None:
        return f"{importer}: {error}"
    return f"{importer} imports {error.name!r}: pip install {_PACKAGES.get(module, module)}"


def _error(reference: FunctionReference, problem: str) -> TaskFileError:
    return TaskFileError(reference.path, reference.line, f"{reference}: {problem}")
