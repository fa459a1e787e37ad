"""Documents made up for a shape: seeded, deterministic, and nasty on purpose.

Texts carry what the format's rules turn on: trailing and leading spaces, digits alone, brackets around, quotes,
other scripts, several lines. ``spice`` says how much of that: 2 everything, 1 plain punctuation, 0 bare words.
"""

from __future__ import annotations

import json
import random
import zlib
from dataclasses import dataclass
from typing import Any

from tests.conformance.shapes import LENGTH, Shape

_WORDS = (
    "river",
    "stone",
    "market",
    "garden",
    "window",
    "lantern",
    "engine",
    "harbour",
    "letter",
    "bridge",
    "copper",
    "meadow",
    "signal",
    "copy",
    "winter",
    "traveller",
    "silver",
    "orchard",
    "compass",
    "village",
    "thunder",
    "ribbon",
    "pocket",
    "ladder",
)
_SCRIPTS = ("Müller über Straße", "日本語のテキスト", "नमस्ते दुनिया", "Привет, мир", "مرحبا بالعالم", "naïve café")
_LISTS = ("choices", "options", "endings", "candidates", "answers", "aliases", "sentences", "distractors", "labels")
_NUMBERS = ("label", "gold", "idx", "index", "answer_idx", "answer_index", "correct", "id", "level", "target_idx")
_LONGEST = 10
_LETTERS = ("answerkey", "answer_key", "correct_answer_letter", "gold_letter", "answer_letter")


@dataclass(frozen=True)
class Making:
    """How documents are made."""

    seed: int = 0
    spice: int = 2
    positions: int = LENGTH
    rows: int = 8
    choices: int = LENGTH


def make_split(root: Shape, making: Making, split: str) -> list[dict[str, Any]]:
    """Make the rows of one split."""
    return [_Row(making, split, number).document(root) for number in range(making.rows)]


class _Row:
    def __init__(self, making: Making, split: str, number: int) -> None:
        self._making = making
        self._number = number
        self._random = random.Random(zlib.crc32(f"{making.seed}:{split}:{number}".encode()))
        self._lists: dict[int, list[Any]] = {}

    def document(self, root: Shape) -> dict[str, Any]:
        # What is equal to another value, an answer among its choices, is made after that.
        names = sorted(root.fields, key=lambda name: (_looked_up(root.fields[name]), name))
        made = {name: self._value(root.fields[name]) for name in names}
        return {name: made[name] for name in root.fields}

    def _value(self, shape: Shape) -> Any:
        if shape.form:
            return self._filled(shape.form)
        if shape.parsed is not None:
            value = self._value(shape.parsed)
            return json.dumps(value) if "json" in shape.uses else repr(value)
        if shape.fields:
            return {name: self._value(child) for name, child in shape.fields.items()}
        if shape.key is not None:
            keys = (shape.key.constants or ["first", "second"])[:2]
            return {key: self._value(shape.element()) for key in keys}
        if self._is_list(shape):
            return self._list(shape)
        value = self._leaf(shape)
        if shape.same_as:
            self._lists.setdefault(id(shape), [value])
        return value

    def _filled(self, form: str) -> str:
        number, letter = self._random.randrange(1, 500), self._random.choice("ABCD")
        return form.format(text=self._text(long=False), number=number, letter=letter)

    def _is_list(self, shape: Shape) -> bool:
        if {"text", "slice", "int", "number", "position"} & shape.uses or shape.constants:
            return bool({"iterate"} & shape.uses) and not {"text", "slice"} & shape.uses
        return bool({"iterate", "item"} & shape.uses) or (not shape.uses and shape.name.lower() in _LISTS)

    def _list(self, shape: Shape) -> list[Any]:
        count = max(self._making.choices, min(shape.highest + 1, _LONGEST))
        element = shape.item or Shape(f"{shape.name}[]")
        values: list[Any] = []
        for number in range(count):
            value = "ABCDEFGHIJ"[number] if _is_letter_list(element) and number < 10 else self._value(element)
            # Choices that are equal would hide which of them was taken.
            values.append(f"{value} {len(values)}" if isinstance(value, str) and value in values else value)
        self._lists[id(element)] = values
        return values

    def _leaf(self, shape: Shape) -> Any:
        if "flag" in shape.uses:
            return self._random.random() < 0.5
        made = [value for other in shape.same_as for value in self._lists.get(id(other), ())]
        if made:
            return self._random.choice(made)
        if shape.constants and "excluded" not in shape.uses:
            return self._constant(shape)
        if {"position", "int", "number", "label"} & shape.uses:
            return str(self._position(shape)) if "text" in shape.uses else self._position(shape)
        if "float" in shape.uses:
            return round(self._random.uniform(0, 1), 3)
        return self._named(shape)

    def _constant(self, shape: Shape) -> Any:
        kinds = [type(c) for c in shape.constants]
        common = str if str in kinds else kinds[0]
        values = [c for c in shape.constants if type(c) is common]
        if all(isinstance(c, str) and len(c) == 1 for c in values):
            values = values[: self._making.positions]
        return values[(self._number + zlib.crc32(shape.name.encode())) % len(values)]

    def _position(self, shape: Shape) -> int:
        limit = shape.highest + 1 if shape.highest >= 0 else self._making.positions
        return self._random.randrange(max(1, min(limit, self._making.positions)))

    def _named(self, shape: Shape) -> Any:
        name = shape.name.lower().removesuffix("[]")
        if name in _LETTERS:
            return "ABCD"[self._random.randrange(self._making.positions)]
        if name in _NUMBERS and not shape.uses and not shape.parts:
            return self._random.randrange(self._making.positions)
        text = self._text(long=name in ("context", "passage", "text", "story", "article", "page", "document"))
        return self._with_part(shape, text)

    def _with_part(self, shape: Shape, text: str) -> str:
        """What the code looks for in a text is there in most documents."""
        parts = [part for part in shape.parts if part.strip()]
        if not parts or self._number % 4 == 3:
            return text
        part = parts[self._number % len(parts)]
        return f"{part}{text} {part} {text}{part}"

    def _text(self, *, long: bool) -> str:
        words = " ".join(self._random.choice(_WORDS) for _ in range(self._random.randint(3, 9)))
        plain = words.capitalize() if self._making.spice else words
        if not self._making.spice:
            return plain
        plain += self._random.choice((".", "?", "", "!"))
        if self._making.spice == 2:
            plain = self._spiced(plain)
        return plain + (f" {words.capitalize()}.\n\n{words}" if long else "")

    def _spiced(self, plain: str) -> str:
        number = self._random.randrange(100)
        other = self._random.choice(_SCRIPTS)
        forms = (f" {plain}", f"{plain} ", f"[{plain}]", str(number), f'"{plain}" ({number}%)', f"{plain}\n", other)
        return self._random.choice(forms) if self._random.random() < 0.45 else f"{plain} {other}"


def _looked_up(shape: Shape) -> int:
    """How often the value, or one below it, is looked up in a list; the elements of such a list do not count."""
    own = len(shape.same_as) if not shape.name.endswith("[]") else 0
    return own + sum(_looked_up(below) for below in (*shape.fields.values(), shape.item) if below is not None)


def _is_letter_list(element: Shape) -> bool:
    plain = not (element.fields or element.item or element.constants or element.uses & {"int", "number", "position"})
    return plain and element.name.lower() in ("label[]", "labels[]", "letter[]", "letters[]", "key[]")
