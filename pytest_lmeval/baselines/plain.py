"""Values between Python and JSON: what is written is plain, what is read is checked field by field."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")

#: JSON has no such numbers; silently writing null would turn a broken metric into a missing one.
_UNCOUNTED = 10**10
_NON_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


class FieldError(ValueError):
    """A field is missing or of another type than expected."""


def plain(value: object) -> Any:
    """Reduce a value to what JSON can carry unchanged: settings hold whatever a task file held."""
    if isinstance(value, Mapping):
        return {str(key): plain(value[key]) for key in sorted(value, key=str)}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if isinstance(value, float):
        return write_number(value)
    return value if value is None or isinstance(value, str | int) else str(value)


def write_number(value: float) -> float | str:
    """Give a finite number as it is, the others as ``"nan"``, ``"inf"`` or ``"-inf"``."""
    return value if math.isfinite(value) else f"{value}"


def read_number(value: object, name: str) -> float:
    """Read what :func:`write_number` wrote."""
    if isinstance(value, str) and value in _NON_FINITE:
        return _NON_FINITE[value]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FieldError(f"{name} is {_show(value)}, expected a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise FieldError(f"{name} is not a finite number")
    return number


def read_count(value: object, name: str) -> int:
    """Read a whole number of at most ten digits: nothing that is counted here is larger."""
    number = _read_integer(value, name)
    if not 0 <= number < _UNCOUNTED:
        raise FieldError(f"{name} is out of range")
    return number


def _read_integer(value: object, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise FieldError(f"{name} is {_show(value)}, expected a whole number")
    return value


class Fields:
    """A JSON object that is read field by field; a surprise is a FieldError that names the field."""

    def __init__(self, data: object, place: str) -> None:
        self._data = _checked(data, dict, "an object", place)
        self._place = place

    def __contains__(self, name: str) -> bool:
        return name in self._data

    def text(self, name: str) -> str:
        """Read a string."""
        return str(self._get(name, str, "a text"))

    def optional_text(self, name: str) -> str | None:
        """Read a string or null."""
        return None if self._raw(name) is None else self.text(name)

    def has(self, name: str) -> bool:
        """Whether there is such a field."""
        return name in self._data

    @property
    def data(self) -> Mapping[str, Any]:
        """The object as it is."""
        data: Mapping[str, Any] = self._data
        return data

    def raw(self, name: str) -> object:
        """Read whatever stands there."""
        return self._raw(name)

    def flag(self, name: str) -> bool:
        """Read a boolean."""
        return bool(self._get(name, bool, "true or false"))

    def count(self, name: str) -> int:
        """Read a whole number, at most ten digits: nothing that is counted here is larger."""
        value = self._raw(name)
        return value if type(value) is int and 0 <= value < _UNCOUNTED else read_count(value, self._name(name))

    def optional_count(self, name: str) -> int | None:
        """Read a whole number as :meth:`count` does, or null."""
        return None if self._raw(name) is None else self.count(name)

    def integer(self, name: str) -> int:
        """Read a whole number."""
        return _read_integer(self._raw(name), self._name(name))

    def number(self, name: str) -> float:
        """Read a number."""
        value = self._raw(name)
        return value if type(value) is float and math.isfinite(value) else read_number(value, self._name(name))

    def optional_number(self, name: str) -> float | None:
        """Read a number or null."""
        return None if self._raw(name) is None else self.number(name)

    def mapping(self, name: str) -> dict[str, Any]:
        """Read an object as it is."""
        return dict(self._get(name, dict, "an object"))

    def optional_mapping(self, name: str) -> dict[str, Any] | None:
        """Read an object or null as it is."""
        return None if self._raw(name) is None else self.mapping(name)

    def fields(self, name: str) -> Fields:
        """Read an object field by field."""
        return Fields(self._raw(name), self._name(name))

    def sequence(self, name: str) -> list[Any]:
        """Read a list as it is."""
        return list(self._get(name, list, "a list"))

    def texts(self, name: str) -> tuple[str, ...]:
        """Read a list of strings."""
        values = self.sequence(name)
        if all(isinstance(value, str) for value in values):
            return tuple(values)
        return self.each(name, lambda value, place: str(_checked(value, str, "a text", place)))

    def numbers(self, name: str) -> tuple[float, ...]:
        """Read a list of numbers."""
        values = self.sequence(name)
        if all(type(value) is float and math.isfinite(value) for value in values):
            return tuple(values)
        return self.each(name, read_number)

    def number_mapping(self, name: str) -> dict[str, float]:
        """Read an object whose values are numbers."""
        values = self.fields(name)
        return {key: values.number(key) for key in values._data}

    def text_mapping(self, name: str) -> dict[str, str]:
        """Read an object whose values are strings."""
        values = self.fields(name)
        return {key: values.text(key) for key in values._data}

    def each(self, name: str, read: Callable[[object, str], T]) -> tuple[T, ...]:
        """Read every element of a list with ``read(element, place)``."""
        return tuple(read(value, f"{self._name(name)}[{at}]") for at, value in enumerate(self.sequence(name)))

    def _get(self, name: str, kind: type, expected: str) -> Any:
        value = self._raw(name)
        # Of millions of fields the name is spelled where it is needed.
        return value if isinstance(value, kind) else _checked(value, kind, expected, self._name(name))

    def _raw(self, name: str) -> object:
        if name not in self._data:
            raise FieldError(f"{self._name(name)} is missing")
        value: object = self._data[name]
        return value

    def _name(self, name: str) -> str:
        # Names of metrics come from the file: what is shown of them is short and on one line.
        shown = name if name.isprintable() and len(name) <= 40 else repr(name[:40])
        return f"{self._place}.{shown}" if self._place else shown


def _checked(value: object, kind: type, expected: str, place: str) -> Any:
    if not isinstance(value, kind):
        raise FieldError(f"{place or 'the file'} is {_show(value)}, expected {expected}")
    return value


def _show(value: object) -> str:
    # Not repr(value): it may be megabytes, or an integer too large to print.
    return "null" if value is None else f"of type {type(value).__name__}"
