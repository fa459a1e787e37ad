"""What a task's templates and functions do with a dataset's columns, noted as they run on recording values.

A :class:`Shape` is one column, field or element; :class:`Probe` is the value that stands for it and notes every use:
a key asked for makes it a record, iteration a list, a comparison names a value it may take, and so on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

# What a list holds while it is being probed; enough for the largest index that tasks use.
LENGTH = 4


@dataclass(eq=False)
class Shape:
    """One value of a document, as far as its uses tell."""

    name: str
    fields: dict[str, Shape] = field(default_factory=dict)
    item: Shape | None = None
    parsed: Shape | None = None
    key: Shape | None = None
    uses: set[str] = field(default_factory=set)
    constants: list[Any] = field(default_factory=list)
    same_as: list[Shape] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
    form: str = ""
    highest: int = -1

    def child(self, key: str) -> Shape:
        """The field ``key`` of a record."""
        return self.fields.setdefault(key, Shape(key))

    def element(self) -> Shape:
        """The elements of a list."""
        if self.item is None:
            self.item = Shape(f"{self.name}[]")
        return self.item

    def keys(self) -> Shape:
        """What a record's own keys are, where the code goes through them."""
        if self.key is None:
            self.key = Shape(f"{self.name} key")
        return self.key

    def text(self) -> Shape:
        """What the text says when it is parsed as JSON or as a Python literal."""
        if self.parsed is None:
            self.parsed = Shape(self.name)
        return self.parsed

    def add_constants(self, values: Any) -> None:
        """Note values that the column may take."""
        for value in values:
            if value == "":
                continue  # asked whether there is anything, not which
            if isinstance(value, str | int | float | bool) and not isinstance(value, Probe) and self._is_new(value):
                self.constants.append(value)

    def _is_new(self, value: Any) -> bool:
        return len(self.constants) < 100 and not any(value == c and type(value) is type(c) for c in self.constants)


@dataclass
class Turn:
    """Which of its known values each probe takes in the current run."""

    number: int = 0


TURN = Turn()
_KEEPING = ("strip", "lstrip", "rstrip", "lower", "upper", "capitalize", "title", "replace", "removeprefix")


class Probe(str):
    """A text that is also a number, a list and a record, and notes which of them is wanted."""

    shape: Shape
    value: Any

    def __new__(cls, shape: Shape, value: Any = None) -> Probe:
        """Stand for ``shape``; the value is one of those it was compared with, if any."""
        if value is None:
            value = shape.constants[TURN.number % len(shape.constants)] if shape.constants else f"{shape.name} word."
        probe = super().__new__(cls, str(value))
        probe.shape, probe.value = shape, value
        return probe

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            self.shape.uses.add("slice")
            listed = self._is_list() and "iterate" in self.shape.uses
            return [Probe(self.shape.element()) for _ in range(LENGTH)][key] if listed else str(self)[key]
        if isinstance(key, str):
            return Probe(self.shape.child(str(key)))
        self.shape.uses.add("item")
        self.shape.highest = max(self.shape.highest, int(key))
        return Probe(self.shape.element())

    def _position_of(self, other: Any) -> int:
        self.shape.uses.add("iterate")
        _link(Probe(self.shape.element()), other)
        if isinstance(other, str) and not isinstance(other, Probe):
            self.shape.parts.append(str(other))
        return 0

    def _is_list(self) -> bool:
        return bool({"iterate", "item"} & self.shape.uses) and "text" not in self.shape.uses

    def __iter__(self) -> Iterator[Any]:
        self.shape.uses.add("iterate")
        return iter([Probe(self.shape.element()) for _ in range(LENGTH)])

    def __len__(self) -> int:
        return LENGTH if self._is_list() else str.__len__(self)

    def __contains__(self, other: Any) -> bool:
        if isinstance(other, str) and not isinstance(other, Probe) and other not in self.shape.parts:
            self.shape.parts.append(other)
        return TURN.number % 2 == 0 or str.__contains__(self, str(other))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Probe):
            _link(self, other)
            return bool(self.value == other.value) or other.shape is not self.shape
        self.shape.add_constants([other])
        return bool(self.value == other)

    def __ne__(self, other: object) -> bool:
        if not isinstance(other, Probe):
            self.shape.uses.add("excluded")
        return not self == other

    def __hash__(self) -> int:
        return hash(self.value)

    def __int__(self) -> int:
        self.shape.uses.add("int")
        return self._number()

    def __index__(self) -> int:
        self.shape.uses.add("position")
        return self._number()

    def __float__(self) -> float:
        self.shape.uses.add("float")
        return float(self._number())

    def _number(self) -> int:
        return int(self.value) if isinstance(self.value, int | float) else 0

    def __add__(self, other: Any) -> Any:
        return Probe(self.shape, str(self) + other) if isinstance(other, str) else self._count() + other

    def __radd__(self, other: Any) -> Any:
        return other + str(self) if isinstance(other, str) else other + self._count()

    def __sub__(self, other: Any) -> Any:
        return self._count() - other

    def __rsub__(self, other: Any) -> Any:
        return other - self._count()

    def __mul__(self, other: Any) -> Any:
        return self._count() * other

    def __truediv__(self, other: Any) -> Any:
        return self._count() / other

    def __mod__(self, other: Any) -> Any:
        return str(self) % other if not isinstance(other, int) else self._count() % other

    def __lt__(self, other: Any) -> bool:
        return str(self) < other if isinstance(other, str) else self._count() < other

    def __gt__(self, other: Any) -> bool:
        return str(self) > other if isinstance(other, str) else self._count() > other

    def __le__(self, other: Any) -> bool:
        return str(self) <= other if isinstance(other, str) else self._count() <= other

    def __ge__(self, other: Any) -> bool:
        return str(self) >= other if isinstance(other, str) else self._count() >= other

    def _count(self) -> int:
        self.shape.uses.add("number")
        return self._number()

    def __getattribute__(self, name: str) -> Any:
        if name in _TEXT_METHODS:
            return _text_method(self, name)
        if name == "index":
            return self._position_of
        if name in ("get", "items", "keys", "values"):
            return getattr(_Record(self.shape), name)
        return super().__getattribute__(name)


def _link(one: Probe, other: Any) -> None:
    """Note that both take the same values: an answer is one of its choices."""
    if not isinstance(other, Probe):
        one.shape.add_constants([other])
    elif other.shape is not one.shape and all(shape is not other.shape for shape in one.shape.same_as):
        one.shape.same_as.append(other.shape)
        other.shape.same_as.append(one.shape)


_TEXT_METHODS = frozenset(n for n in dir(str) if not n.startswith("_")) - {"index", "count"}


def _text_method(probe: Probe, name: str) -> Any:
    method = getattr(str(probe), name)

    def call(*arguments: Any, **named: Any) -> Any:
        probe.shape.uses.add("text")
        if name in ("startswith", "endswith", "split", "find"):
            probe.shape.parts += [a for a in arguments[:1] if isinstance(a, str) and a not in probe.shape.parts]
        result = method(*arguments, **named)
        return Probe(probe.shape, result) if name in _KEEPING else result

    return call


class _Record:
    """The dict methods of a probe."""

    def __init__(self, shape: Shape) -> None:
        self._shape = shape

    def get(self, key: str, default: Any = None) -> Any:
        return Probe(self._shape.child(key))

    def keys(self) -> list[str]:
        self._shape.uses.add("mapping")
        if self._shape.fields:
            return list(self._shape.fields)
        keys = self._shape.keys()
        return [Probe(keys, value) for value in (keys.constants or ["first", "second"])[:2]]

    def values(self) -> list[Any]:
        return [value for _, value in self.items()]

    def items(self) -> list[tuple[str, Any]]:
        known = self._shape.fields
        return [(key, Probe(known[key] if key in known else self._shape.element())) for key in self.keys()]


class ProbeDocument(dict[str, Any]):
    """A document that has every column it is asked for."""

    def __init__(self, shape: Shape, **values: Any) -> None:
        super().__init__({name: Probe(child) for name, child in shape.fields.items()})
        self.update(values)
        self.shape = shape

    def __missing__(self, key: str) -> Any:
        self[key] = Probe(self.shape.child(str(key)))
        return self[key]

    def get(self, key: str, default: Any = None) -> Any:
        """Never absent."""
        return self[key]

    def pop(self, key: str, default: Any = None) -> Any:
        """Never absent."""
        value = self[key]
        del self[key]
        return value

    def copy(self) -> ProbeDocument:
        """The same columns, still without end."""
        return ProbeDocument(self.shape, **self)
