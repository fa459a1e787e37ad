"""Resolve ``!function module.name``: code that stands next to the task file.

It is code, so it loads only from files below the task file's folder, or, as an absolute module path, from a
package that is installed. A module is loaded once in a process.
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
from pytest_lmeval.tasks.yaml_loader import FunctionReference

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


def _module(reference: FunctionReference, module_name: str) -> ModuleType:
    folder = reference.path.parent.resolve()
    path = (folder / (module_name.replace(".", "/") + ".py")).resolve()
    if path.is_file():
        if not path.is_relative_to(folder):
            raise _error(reference, f"{path} lies outside the task's folder; code loads only from inside it")
        return _load(reference, path)
    try:
        return importlib.import_module(module_name)
    except (ImportError, TypeError, ValueError) as error:  # "..name" is no absolute module path
        raise _error(reference, f"there is no {path.name} next to the task file, and {error}") from None


def _load(reference: FunctionReference, path: Path) -> ModuleType:
    key = (path, path.stat().st_mtime_ns)
    if key not in _modules:
        # The name carries the path, so that two folders may both have a `utils.py`.
        name = f"pytest_lmeval_task_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise _error(reference, f"{path} cannot be imported")
        module = importlib.util.module_from_spec(spec)
        # Registered before it runs: dataclasses and pickling look their module up by name.
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except ModuleNotFoundError as error:
            del sys.modules[name]
            raise _error(reference, f"{path.name} imports {error.name!r}: pip install {error.name}") from None
        except SyntaxError as error:
            del sys.modules[name]
            raise TaskFileError(path, error.lineno, f"not valid Python: {error.msg}") from None
        except Exception as error:  # the module's own code may raise anything
            del sys.modules[name]
            raise _error(reference, f"{path.name} cannot be imported: {type(error).__name__}: {error}") from error
        _modules[key] = module
    return _modules[key]


def _error(reference: FunctionReference, problem: str) -> TaskFileError:
    return TaskFileError(reference.path, reference.line, f"{reference}: {problem}")
