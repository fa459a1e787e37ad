"""How a metric compares one target with one answer, in generated text."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

#: From a target and an answer to a number, several (a mapping), or what the aggregation takes.
Compare = Callable[[Any, Any], Any]


def pair(target: Any, answer: Any) -> tuple[Any, Any]:
    """Leave both to the aggregation, which looks at all documents at once."""
    return target, answer


def nothing(target: Any, answer: Any) -> None:
    """Compare nothing: ``bypass`` only collects answers."""


def calling(function: Callable[..., Any], arguments: Mapping[str, Any]) -> Compare:
    """Call a function in the one of two ways that its signature allows.

    ``function(references=[target], predictions=[answer], **arguments)``, else ``function([target, answer])``. The
    reference tries the first and takes a TypeError, also one from inside the function, for the second.
    Raises TypeError where it can be called in neither way.
    """
    if _accepts(function, references=[], predictions=[], **arguments):
        return partial(_by_name, function, arguments)
    if _accepts(function, []):
        return lambda target, answer: function([target, answer])
    given = "".join(f", {name}=" for name in arguments)
    raise TypeError(f"takes neither (references=, predictions={given}) nor one list [reference, prediction]")


def _by_name(function: Callable[..., Any], arguments: Mapping[str, Any], target: Any, answer: Any) -> Any:
    return function(references=[target], predictions=[answer], **arguments)


def _accepts(function: Callable[..., Any], *arguments: Any, **named: Any) -> bool:
    try:
        inspect.signature(function).bind(*arguments, **named)
    except TypeError:
        return False
    except ValueError:  # some builtins have no signature to look at
        return True
    return True
