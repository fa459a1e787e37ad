"""What a file keeps of a model's texts, and how it spells them."""

from __future__ import annotations

import json
import re

#: Bytes of an answer and of what was extracted from it, spelled in UTF-8 as JSON: of plain English, characters.
ANSWER_BYTES = 200
EXTRACTED_BYTES = 60
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_REPLACEMENT = "\ufffd"


def kept_answer(text: str) -> str:
    """Return the beginning of an answer, as a file keeps it: two answers are compared after this was done to both."""
    return _beginning(text, ANSWER_BYTES)


def kept_extracted(text: str) -> str:
    """Return the beginning of what was extracted from an answer, as a file keeps it."""
    return _beginning(text, EXTRACTED_BYTES)


def spelled(text: str) -> str:
    """Spell a text as JSON: readable in any script, on one line, with nothing in it that a terminal would act on."""
    plain = json.dumps(text, ensure_ascii=False)
    return plain if plain.isprintable() else "".join(map(_visible, plain))


def _visible(character: str) -> str:
    return character if character.isprintable() else json.dumps(character)[1:-1]


def _beginning(text: str, most: int) -> str:
    # No character takes less than a byte. Lone surrogates, which UTF-8 lacks, would not come back as they were.
    start = _LONE_SURROGATE.sub(_REPLACEMENT, text[:most])
    if _size(start) <= most:
        return start
    room, end = most, 0
    while (room := room - _size(start[end])) >= 0:
        end += 1
    return start[:end]


def _size(text: str) -> int:
    return len(spelled(text).encode()) - 2
