"""The page around its content: the assets of this folder inside one file, and a policy that allows nothing else."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files

_ASSETS = files(__package__) / "assets"
#: In the order in which they need each other.
SCRIPTS = (
    "dom.js",
    "text.js",
    "data.js",
    "route.js",
    "charts.js",
    "panels.js",
    "filter.js",
    "list.js",
    "diff.js",
    "detail.js",
    "explorer.js",
    "main.js",
)
_PLACE = re.compile(r"\{\{(\w+)\}\}")


def page(*, title: str, header: str, overview: str, chunks: Sequence[str]) -> bytes:
    """Fill the template. ``title``, ``header`` and ``overview`` are HTML, ``chunks`` elements with data."""
    parts = {
        "title": title,
        "header": header,
        "overview": overview,
        "style": _asset("report.css"),
        "theme": _asset("theme.js"),
        "script": "\n".join(map(_asset, SCRIPTS)),
        "chunks": "".join(chunks),
    }
    parts["policy"] = _policy(parts["style"], parts["theme"], parts["script"])
    # What has no UTF-8 is a reference to a character that no browser shows: nothing is lost without a trace.
    return _filled(_asset("template.html"), parts).encode("utf-8", "xmlcharrefreplace")


def _filled(template: str, parts: Mapping[str, str]) -> str:
    """Put each part at its place, once: what a part holds is not looked at."""
    return _PLACE.sub(lambda place: parts[place[1]], template)


def _policy(style: str, *scripts: str) -> str:
    sources = " ".join(map(_source, scripts))
    return f"default-src 'none'; style-src {_source(style)}; script-src {sources}; base-uri 'none'; form-action 'none'"


def _source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _asset(name: str) -> str:
    return (_ASSETS / name).read_text(encoding="utf-8")
