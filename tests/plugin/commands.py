"""The commands that the pages show, wherever they show them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")))

_BLOCK = re.compile(r"^```(?P<language>console|sh|bash)[^\n]*\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


class Shown(NamedTuple):
    """A command, its words without comment, and the page that shows it."""

    page: str
    words: tuple[str, ...]

    @property
    def text(self) -> str:
        return " ".join(self.words)


def shown_commands() -> Iterator[Shown]:
    """Yield every command of a block of shell or of a console; a long one may go on behind a backslash."""
    for page in PAGES:
        for block in _BLOCK.finditer(page.read_text(encoding="utf-8")):
            text = block["text"].replace("\\\n", " ")
            lines = text.splitlines()
            if block["language"] == "console":
                lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
            for line in lines:
                words = tuple(shlex.split(line, comments=True))
                if words:
                    yield Shown(str(page.relative_to(ROOT)), words)
