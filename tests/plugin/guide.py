"""Read a guide: the files it shows, the changes it makes to them, and its commands with their output."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(r"^```(?P<language>\w+)(?: (?P<path>\S+))?\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)

#: A line of a guide that stands for any number of lines of output.
GAP = "…"


@dataclass(frozen=True)
class File:
    """A block that shows a whole file."""

    path: str
    text: str


@dataclass(frozen=True)
class Change:
    """A block that replaces lines of a file."""

    path: str
    old: str
    new: str


@dataclass(frozen=True)
class Command:
    """A command with the output that the guide shows; ``arguments`` are those of pytest."""

    arguments: tuple[str, ...]
    output: tuple[str, ...]


def steps(guide: Path) -> Iterator[File | Change | Command]:
    """Yield what the guide does, in order."""
    for block in _BLOCK.finditer(guide.read_text(encoding="utf-8")):
        text = block["text"]
        if block["language"] == "console":
            yield from _commands(text)
        elif block["path"] and block["language"] == "diff":
            yield Change(block["path"], _side(text, "-"), _side(text, "+"))
        elif block["path"]:
            yield File(block["path"], text)


def _side(text: str, sign: str) -> str:
    return "".join(line[1:] for line in text.splitlines(keepends=True) if line.startswith(sign))


def _commands(text: str) -> Iterator[Command]:
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        line, *output = part.splitlines()
        program, *arguments = line.split()
        assert program == "pytest"
        yield Command(tuple(arguments), tuple(output))


def missing(expected: Sequence[str], output: Sequence[str]) -> list[str]:
    """Return the first run of lines between gaps that does not follow in ``output``; nothing where all do."""
    at = 0
    for chunk in _chunks(expected):
        found = [i for i in range(at, len(output)) if list(output[i : i + len(chunk)]) == chunk]
        if not found:
            return chunk
        at = found[0] + len(chunk)
    return []


def _chunks(lines: Sequence[str]) -> Iterator[list[str]]:
    chunk: list[str] = []
    for line in [*lines, GAP]:
        if line.strip() != GAP:
            chunk.append(line)
        elif chunk:
            yield chunk
            chunk = []
