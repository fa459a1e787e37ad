"""Whether a pipeline found an answer in a text, or put a stand-in where none was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pytest_lmeval.tasks.spec import TaskSpec

# The argument that says what stands for an answer that was not found, and what does so by default.
_STAND_INS: Mapping[str, tuple[str, Any]] = {
    "regex": ("fallback", "[invalid]"),
    "multi_choice_regex": ("fallback", "[invalid]"),
    "regex_pos": ("fallback", "invalid"),
    "map": ("default_value", None),
}


class Finding:
    """Reads what one pipeline of a task made of texts."""

    def __init__(self, spec: TaskSpec, filter_name: str) -> None:
        steps = _steps(spec, filter_name)
        self._filters = bool(steps)
        self._stand_ins = {str(value).strip().casefold() for step in steps for value in _stand_ins(step)}

    def found_nothing(self, filtered: Any, text: str) -> bool:
        """Whether ``filtered``, made of ``text``, is nothing, or a stand-in that ``text`` does not have."""
        if not self._filters:
            return False
        if isinstance(filtered, list | tuple):
            return all(self.found_nothing(part, text) for part in filtered)
        if filtered is None:
            return True
        spelled = str(filtered).strip().casefold()
        return not spelled or (spelled in self._stand_ins and spelled not in text.casefold())


def extracted(filtered: Any, text: str) -> str | None:
    """Return what a pipeline made of ``text``, where that is a text or a number and another one."""
    if isinstance(filtered, list | tuple) and len(filtered) == 1:
        (filtered,) = filtered
    return str(filtered) if isinstance(filtered, str | int | float) and str(filtered) != text else None


def _steps(spec: TaskSpec, filter_name: str) -> list[Mapping[str, Any]]:
    return [step for entry in spec.filter_list or () if entry["name"] == filter_name for step in entry["filter"]]


def _stand_ins(step: Mapping[str, Any]) -> Iterator[Any]:
    function = step.get("function")
    if not isinstance(function, str) or function not in _STAND_INS:
        return
    argument, default = _STAND_INS[function]
    given = step.get(argument, default)
    yield from given if isinstance(given, list | tuple) else () if given is None else (given,)
