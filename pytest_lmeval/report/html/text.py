"""Texts in the static part of the page: escaped for HTML, with nothing hidden in them."""

from __future__ import annotations

import html


def shown(text: object) -> str:
    """Escape a text for an element or a quoted attribute; what cannot be printed is spelled as in ``repr``.

    Model names, tasks and reasons come from elsewhere: a control or bidirectional character would change what is read.
    """
    return html.escape("".join(map(_visible, str(text))))


def _visible(character: str) -> str:
    return character if character.isprintable() or character == "\n" else repr(character)[1:-1]
