"""Data inside the page: JSON, gzipped, as base64, in a script element that no browser runs."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

# The next steps up take twice the time for a twentieth of the size.
_LEVEL = 6


def chunk(name: str, value: Any) -> str:
    """Make the element with the id ``name``. Base64 has no character that could end it.

    Lone surrogates, which UTF-8 lacks, are escaped as JSON does it: the page gets the text that was there.
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    # No time in the header: the same run makes the same bytes.
    packed = gzip.compress(text.encode("utf-8", "backslashreplace"), _LEVEL, mtime=0)
    data = base64.b64encode(packed).decode("ascii")
    return f'<script type="application/octet-stream;base64" id="{name}">{data}</script>\n'
