"""Read the few keys that an index needs from a task file, without parsing its YAML.

A grammar of the plain part of YAML, as one regular expression per top-level entry: it either accepts a file whole, and
then says of these keys what the YAML parser would, or it says nothing and the file is parsed. Most of it is there
to know where an entry ends: a line at column 0 that looks like a key may stand inside a quoted text or in brackets.
What it does not do is to find fault: of a file that is not valid YAML it may tell the name, and the fault is
found when the file is read to be run.
"""

from __future__ import annotations

import re
from typing import Any

KEYS = ("task", "group", "class", "tag", "include", "output_type")

_KEY = r'(?:"[A-Za-z_]\w*+"|[A-Za-z_]\w*+)'
_REST = r"[ ]*+(?:(?<=[ ])\#[^\n]*+)?\n"
_FILLER = r"(?:[ ]*+(?:\#[^\n]*+)?\n)*+"
_INDENTED = r"(?:[ ][^\n]*+\n|\n)*+"
# A quoted text ends at its closing quote wherever that is. In a nested line without a key it must do so on its line:
# such a line may also continue a plain text above it, where a quote opens nothing.
_QUOTED = r"""(?:"[^"\\]*+(?:\\.[^"\\]*+)*+"|'[^']*+(?:''[^']*+)*+')"""
_QUOTED_ON_A_LINE = r"""(?:"[^"\\\n]*+(?:\\[^\n][^"\\\n]*+)*+"|'[^'\n]*+(?:''[^'\n]*+)*+')"""
_IN_BRACKETS = rf"(?:{_QUOTED_ON_A_LINE}|[\w.+-]++(?:[ /]++[\w.+-]++)*+)"
_BRACKETS = rf"\[[ ]*+(?:{_IN_BRACKETS}(?:[ ]*+,[ ]*+{_IN_BRACKETS})*+[ ]*+)?,?[ ]*+\]"
_FUNCTION = rf"!function[ ]++(?:[\w.]++|{_QUOTED_ON_A_LINE})"
_PLAIN = r"""(?:[^\s\-?:,\[\]{}\#&*!|>'"%@`]|-(?=[\w.]))(?:[^:\n]|:(?=\S))*+"""
_VALUE = rf"(?:(?:{_QUOTED_ON_A_LINE}|{_BRACKETS}|{_FUNCTION}){_REST}|{_PLAIN}\n)"
_KEY_AND_VALUE = rf"{_KEY}:(?:{_REST}|[ ]++(?:{_QUOTED}{_REST}|{_VALUE}))"
_NESTED = rf"""
    (?:
        (?:[ ]++|(?=-[ \n]))(?:-[ ]++)*+(?:-\n|{_KEY_AND_VALUE}|{_VALUE})
      | [ ]*+(?:\#[^\n]*+)?\n
    )*+
"""
_ENTRY = re.compile(
    rf"""
    {_FILLER}
    (?P<key>{_KEY}):
    (?:
        [ ]++[|>][0-9+-]*+{_REST}{_INDENTED}
      | [ ]++(?P<value>{_QUOTED}|{_BRACKETS}|{_FUNCTION}){_REST}
      | [ ]++(?P<plain>{_PLAIN}\n{_INDENTED})
      | {_REST}{_FILLER}[ ]++(?P<below>{_QUOTED}){_REST}
      | {_REST}(?P<nested>{_NESTED})
    )
    {_FILLER}
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)

# What makes a line end, a key or an indentation that the expressions above do not know.
_UNUSUAL = re.compile("[\t\r\x85\u2028\u2029\ufeff]")
_WORD = re.compile(r"(?:\.\.?/)*[A-Za-z_][\w.+/-]*", re.ASCII)
# Of the words, those that YAML 1.1 takes for something else than text.
_NOT_TEXT = frozenset(["yes", "no", "true", "false", "on", "off", "null", "y", "n"])
_ITEM = re.compile(r"([ ]*)-[ ]+(\S.*)")


class _UnclearError(Exception):
    """A value that only the YAML parser can tell."""


def scan(text: str) -> dict[str, Any] | None:
    """Return the values of :data:`KEYS` in a task file; None where its YAML must be parsed to know them.

    ``class`` is only said to be there (True). A key that is absent is absent from the result.
    """
    if _UNUSUAL.search(text):
        return None
    text = text if text.endswith("\n") else f"{text}\n"
    found: dict[str, Any] = {}
    position = 0
    try:
        while position < len(text):
            entry = _ENTRY.match(text, position)
            if entry is None:
                return None
            position = entry.end()
            key = entry["key"].strip('"')
            if key in KEYS:
                found[key] = True if key == "class" else _value(entry)
    except _UnclearError:
        return None
    return found


def _value(entry: re.Match[str]) -> Any:
    if entry["nested"] is not None:
        return _items(entry["nested"])
    return _scalar(entry["value"] or entry["below"] or entry["plain"] or "|")


def _items(nested: str) -> list[str] | None:
    lines = [line for line in nested.split("\n") if line.strip() and not line.lstrip().startswith("#")]
    if not lines:
        return None
    items = [_ITEM.fullmatch(line) for line in lines]
    if None in items or len({item[1] for item in items if item}) > 1:
        raise _UnclearError
    return [_scalar(item[2]) for item in items if item]


def _scalar(written: str) -> str:
    text = written.strip()
    if text[0] in "\"'" and text[0] == text[-1] and not set(text[1:-1]) & set("\"'\\\n"):
        return text[1:-1]
    # A comment ends a plain text for good.
    word = text.partition(" #")[0].rstrip()
    if _WORD.fullmatch(word) and word.lower() not in _NOT_TEXT:
        return word
    raise _UnclearError
