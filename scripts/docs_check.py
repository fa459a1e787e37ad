"""Whether a built site loads anything from elsewhere: ``python scripts/docs_check.py FOLDER``.

Links that a reader follows may lead anywhere; what a page fetches by itself may not.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

_FETCHED = re.compile(
    r"<(?:script|img|iframe|source|video|audio|embed|link)\b[^>]*?\s(?:src|href)=[\"']?((?:https?:)?//[^\"'\s>]+)"
    r"|(?:url\(|@import\s+)[\"']?((?:https?:)?//[^\"')\s]+)"
)
# A page's canonical address and its neighbours are told, not fetched.
_TOLD = re.compile(r"<link\b[^>]*\brel=[\"']?(?:canonical|prev|next|alternate)\b[^>]*>")


def fetched(folder: Path) -> Iterator[str]:
    """Name what the pages and styles of a site fetch from other hosts."""
    for path in sorted([*folder.rglob("*.html"), *folder.rglob("*.css")]):
        text = _TOLD.sub("", path.read_text(encoding="utf-8"))
        for found in _FETCHED.finditer(text):
            yield f"{path}: {found[1] or found[2]}"


if __name__ == "__main__":
    pages = list(Path(sys.argv[1]).rglob("*.html"))
    problems = list(fetched(Path(sys.argv[1]))) if pages else [f"{sys.argv[1]}: there is no site"]
    sys.exit("\n".join(problems) or 0)
