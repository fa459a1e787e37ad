"""Exact match of an answer with a target."""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from typing import Any

_WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)
_WITHOUT_DIGITS = str.maketrans("", "", string.digits)


def exact_match(
    prediction: Any,
    reference: Any,
    *,
    regexes_to_ignore: Sequence[str] | None = None,
    ignore_case: bool = False,
    ignore_punctuation: bool = False,
    ignore_numbers: bool = False,
) -> float:
    """1.0 where both are equal after what is ignored is removed from both, in the reference's order."""

    def normalise(value: Any) -> Any:
        # A filter may have made a number of the answer; there is nothing in it to ignore.
        if not isinstance(value, str):
            return value
        text = value
        for pattern in regexes_to_ignore or ():
            text = re.sub(pattern, "", text)
        text = text.lower() if ignore_case else text
        text = text.translate(_WITHOUT_PUNCTUATION) if ignore_punctuation else text
        return text.translate(_WITHOUT_DIGITS) if ignore_numbers else text

    return float(normalise(prediction) == normalise(reference))


def share_matching(target: Any, answer: Any, **arguments: Any) -> float:
    """Exact match of one answer; where the filters leave a list, the share of its answers that match."""
    if not isinstance(answer, list | tuple) or isinstance(target, list | tuple):
        return exact_match(answer, target, **arguments)
    return sum(exact_match(a, target, **arguments) for a in answer) / len(answer) if answer else 0.0
