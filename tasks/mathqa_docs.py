"""MathQA's five answers, which the data stores as one text: ``a ) 38 , b ) 27.675 , c ) …``."""

from __future__ import annotations

import re
from typing import Any

# The first four end at a comma and a space, the last one where the text does.
_ANSWER = re.compile(r"[abcd] \) .*?, |e \) .*?$")
_LETTER = "a ) "


def choices(doc: dict[str, Any]) -> list[str]:
    """Return the answers without their letters and the commas between them."""
    return [answer[len(_LETTER) :].rstrip(" ,") for answer in _ANSWER.findall(doc["options"])]
